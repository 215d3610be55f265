"""How values are written: read, written back, and refused with a sentence."""

import base64
import ipaddress

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from failover.settings import places
from failover.settings.amounts import duration, parse_duration, parse_size, percent, size, write_duration, write_size
from failover.settings.types import Listen, choice, parse_switch, quoted, whole


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("2s", 2.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("2", 2.0),
        ("0.5", 0.5),
        (".5s", 0.5),
        ("1.5s", 1.5),
        (" 2 s ", 2.0),
        ("1h 30m", 5400.0),
        ("2sec", 2.0),
        ("1min 30sec", 90.0),
        ("1day", 86400.0),
        ("500msec", 0.5),
        ("2 hours", 7200.0),
        ("0", 0.0),
    ],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "fast", "5x", "1m30", "-2s", "2S", "2M", "1e3", "inf", "nan", "s", "1,5s", "٣s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration; write it as 250ms, 2s, 1m30s or 1h"):
        parse_duration(text)


@given(st.integers(0, 10**10))
def test_every_millisecond_survives_being_written_and_read(milliseconds):
    assert parse_duration(write_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.floats(0.0001, 1e6))
def test_every_duration_that_is_not_tiny_survives_being_written_and_read(seconds):
    assert parse_duration(write_duration(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(2.0, "2s"), (90.0, "1m30s"), (0.25, "250ms"), (0.0, "0s"), (15, "15s")])
def test_durations_are_written_short(seconds, text):
    assert write_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("10MB", 10_000_000),
        ("10MiB", 10_485_760),
        ("512KB", 512_000),
        ("512KiB", 524_288),
        ("1GB", 10**9),
        ("100", 100),
        ("10mb", 10_000_000),
        ("1.5MB", 1_500_000),
        ("10 MB", 10_000_000),
        ("7B", 7),
        ("10_000_000", 10_000_000),
        ("1TiB", 2**40),
    ],
)
def test_sizes_are_read(text, count):
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "big", "10M", "10XB", "-1MB", "MB", "1e6", "iB", "5iB", "1.5B"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="is not a size; write it as 10MB, 10MiB, 512KB or a number of bytes"):
        parse_size(text)


@given(st.integers(0, 10**18))
def test_every_size_survives_being_written_and_read(count):
    assert parse_size(write_size(count)) == count


def test_sizes_are_written_in_the_unit_that_fits():
    assert [write_size(count) for count in (10_000_000, 10_485_760, 1500, 0)] == ["10MB", "10MiB", "1500B", "0B"]


@pytest.mark.parametrize(
    ("form", "text", "sentence"),
    [
        (duration(0.01, 3600), "1ms", '"1ms" is too short; expected 10ms to 1h'),
        (duration(0.01, 3600), "2h", '"2h" is too long; expected 10ms to 1h'),
        (size(1, 10**12), "0", '"0" is too small; expected 1B to 1TB'),
        (size(1, 10**12), "2TB", '"2TB" is too large; expected 1B to 1TB'),
        (whole(1, 100), "three", '"three" is not a whole number; expected 1 to 100'),
        (whole(1, 100), "3.0", '"3.0" is not a whole number; expected 1 to 100'),
        (whole(1, 100), "0", '"0" is too small; expected 1 to 100'),
        (whole(1, 64, auto=True), "65", '"65" is too large; expected auto or 1 to 64'),
        (whole(1, 100), "9" * 5000, f'"{"9" * 79}…" is not a whole number; expected 1 to 100'),
        (choice("auto", "slack"), "slak", '"slak" is not one of auto, slack; did you mean slack?'),
        (choice("GET", "HEAD"), "POST", '"POST" is not one of GET, HEAD'),
        (places.LISTEN, "localhost", '"localhost" has no port; write it as 0.0.0.0:8080 or 8080'),
        (places.LISTEN, "localhost:", '"localhost:" has no port; write it as 0.0.0.0:8080 or 8080'),
        (places.LISTEN, "0.0.0.0:99999", '"0.0.0.0:99999" has a port that is not a number from 0 to 65535'),
        (places.LISTEN, "::1:80", '"::1:80" has an IPv6 address without brackets; write it as [::]:8080'),
        (places.LISTEN, "[::g]:80", '"[::g]:80" has an IPv6 address that cannot be read'),
        (places.LISTEN, "1.2.3:80", '"1.2.3:80" has an IPv4 address that cannot be read'),
        (places.LISTEN, "a b:80", '"a b:80" has a host that is neither an address nor a name'),
        (
            places.LISTEN,
            "http://x:80",
            '"http://x:80" has a scheme; an address to listen on is written as 0.0.0.0:8080',
        ),
        (
            places.NETWORK,
            "10.0.0.1/8",
            '"10.0.0.1/8" names an address and a network at once; did you mean 10.0.0.0/8 or 10.0.0.1?',
        ),
        (
            places.NETWORK,
            "privat",
            '"privat" is not a network; write it as 10.0.0.0/8, 192.168.1.7 or private; did you mean private?',
        ),
        (places.STATUSES, "700", '"700" is not a status code or range; write them as 200-299,401 (100 to 599)'),
        (places.STATUSES, "299-200", '"299-200" runs backwards; did you mean 200-299?'),
        (places.PATH, "healthz", '"healthz" is not a path: it does not start with /; did you mean /healthz?'),
        (places.PATH, "http://x/y", '"http://x/y" is not a path: it does not start with /; give the path alone'),
        (places.PATH, "/a b", '"/a b" has a character that no path may have; write it as /healthz'),
        (places.HOST, "a b", '"a b" is not a host; expected auto, client, target or a name such as www.myapp.com'),
        (
            places.WEBHOOK,
            "hooks.slack.com/x/secret",
            "is not an address; expected one such as https://hooks.slack.com/services/…",
        ),
        (places.WEBHOOK, "https:///x/secret", "starts with https:// but has no host that can be read"),
    ],
)
def test_the_sentence_says_what_is_wrong_and_what_is_allowed(form, text, sentence):
    with pytest.raises(ValueError) as told:
        form.parse(text)
    assert str(told.value) == sentence


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("0.0.0.0:8080", Listen("0.0.0.0", 8080)),
        ("8080", Listen("0.0.0.0", 8080)),
        (":8080", Listen("0.0.0.0", 8080)),
        ("*:80", Listen("0.0.0.0", 80)),
        ("[::]:8080", Listen("::", 8080)),
        ("[0:0::1]:1", Listen("::1", 1)),
        ("LocalHost:0", Listen("localhost", 0)),
        (" 127.0.0.1:9 ", Listen("127.0.0.1", 9)),
    ],
)
def test_listen_addresses_are_read_and_written_back(text, listen):
    assert places.parse_listen(text) == listen
    assert places.parse_listen(str(listen)) == listen


def test_networks_may_have_names():
    assert ipaddress.ip_network("10.0.0.0/8") in places.parse_networks("private")
    assert places.parse_networks("::1") == (ipaddress.ip_network("::1/128"),)


def test_statuses_are_read_and_written_back():
    assert places.parse_statuses("200-299, 401,3xx") == ((200, 299), (401, 401), (300, 399))
    assert places.write_statuses(((200, 299), (401, 401))) == "200-299,401"


@pytest.mark.parametrize(("text", "on"), [("true", True), ("YES", True), ("1", True), ("off", False), ("0", False)])
def test_switches_are_read(text, on):
    assert parse_switch(text) is on


def test_words_are_taken_in_any_case():
    assert choice("GET", "HEAD").parse(" head ") == "HEAD"


def test_webhooks_may_have_other_schemes():
    assert places.parse_webhook("tgram://token/chat") == "tgram://token/chat"
    assert places.parse_webhook("https://u:p@h.example:8443/x?y=z") == "https://u:p@h.example:8443/x?y=z"


def test_a_quoted_text_is_short_and_harmless():
    assert quoted("a\x1b[2J\n") == '"a\\u001b[2J\\n"'
    assert len(quoted("x" * 1000)) == 82


def test_an_authority_is_read_before_it_is_needed(tmp_path):
    good, empty, broken = (tmp_path / name for name in ("good.pem", "empty.pem", "broken.pem"))
    trustme.CA().cert_pem.write_to_path(good)
    empty.write_text("nothing")
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    assert places.parse_certificates(str(good)) == good
    with pytest.raises(ValueError, match="No such file or directory"):
        places.parse_certificates(str(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="holds no PEM certificate"):
        places.parse_certificates(str(empty))
    with pytest.raises(ValueError, match="holds a certificate that cannot be read"):
        places.parse_certificates(str(broken))


def test_a_file_may_be_in_a_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.parse_file("~/x.yaml") == tmp_path / "x.yaml"
    assert str(places.parse_file("~nobody-we-know/x.yaml")) == "~nobody-we-know/x.yaml"


def test_numbers_of_any_length_are_told_in_a_sentence():
    from failover.settings.amounts import parse_size

    with pytest.raises(ValueError, match="is not a size"):
        parse_size("9" * 40)


def test_a_path_to_probe_has_only_letters_that_a_request_can_carry():
    from failover.settings.places import parse_path

    for path in ("/😀", "/日本", "/é"):
        with pytest.raises(ValueError, match="has a character that no path may have"):
            parse_path(path)


@pytest.mark.parametrize("text", ["99.9", " 99.9 ", "99.9%", "99.9 %", "0.001", "99.99999"])
def test_a_share_in_percent(text):
    assert percent(0, 100).parse(text) == float(text.strip(" %"))


@pytest.mark.parametrize(
    ("text", "why"),
    [("100", "out of range"), ("0", "out of range"), ("-1", "not a percentage"), ("three nines", "not a percentage")],
)
def test_no_share_in_percent(text, why):
    with pytest.raises(ValueError, match=why):
        percent(0, 100).parse(text)


def test_a_webhook_secret_is_told_of_without_it():
    good = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert places.WEBHOOK_SECRET.parse(f" {good}\n") == good
    assert places.WEBHOOK_SECRET.write(good) == "whsec_***"
    for bad, why in [
        ("hunter2", "does not start"),
        ("whsec_hunter2!", "is not base64"),
        ("whsec_aHVudGVyMg==", "a key of 7 bytes"),
    ]:
        with pytest.raises(ValueError, match=why) as told:
            places.parse_webhook_secret(bad)
        assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("text", ["https://status.myapp.com", "http://10.0.0.1:8081/failover", "https://[::1]:8081"])
def test_a_public_url(text):
    assert places.parse_public_url(f"{text}/") == text


@pytest.mark.parametrize(
    "text", ["status.myapp.com", "https://", "https://u:p@x.com", "https://x.com?a=b", "ftp://x.com"]
)
def test_no_public_url(text):
    with pytest.raises(ValueError, match="not an address of pages"):
        places.parse_public_url(text)


def test_the_state_is_kept_in_a_folder(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert places.parse_state_dir(str(tmp_path)) == tmp_path
    assert places.parse_state_dir(str(tmp_path / "new")) == tmp_path / "new"
    with pytest.raises(ValueError, match="is a file"):
        places.parse_state_dir(str(file))
