"""The certificate that clients are shown: what is made of good files, and the sentence for each kind of bad ones."""

import ssl

import pytest

from failover.errors import SettingsError
from failover.settings.certificate import details, ends, server_tls
from failover.settings.sources import load
from support.tls import Files

BOTH = {"primary": "http://app.test", "backup": "http://standby.test"}


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def told(**given):
    with pytest.raises(SettingsError) as refused:
        load({**BOTH, **given}, {})
    return refused.value.lines


def test_what_the_certificate_says_is_read_even_when_it_has_expired(tmp_path):
    files = Files(tmp_path, days=-3)
    context = server_tls(files.cert, files.key)
    shown = details(files.cert, context)
    assert ("DNS", "site.test") in shown["subjectAltName"]
    assert ends(files.cert, context) == ssl.cert_time_to_seconds(shown["notAfter"])


def test_only_versions_and_ciphers_of_today(files):
    context = server_tls(files.both, None)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert all(cipher["aead"] for cipher in context.get_ciphers())


def test_settings_take_two_files_or_one(files):
    two = load({**BOTH, "tls_cert": str(files.cert), "tls_key": str(files.key)}, {}).settings
    assert (two.tls_cert, two.tls_key) == (files.cert, files.key)
    one = load(BOTH, {"FAILOVER_TLS_CERT": str(files.both)}).settings
    assert (one.tls_cert, one.tls_key) == (files.both, None)
    assert load(BOTH, {}).settings.tls_cert is None


def test_a_certificate_without_a_key_and_a_key_without_a_certificate(files):
    (line,) = told(tls_cert=str(files.cert))
    assert line.endswith("holds no key; name its file with --tls-key")
    assert line.startswith("--tls-cert: ")
    assert told(tls_key=str(files.key)) == (
        "--tls-key: is of no use without a certificate; name its file with --tls-cert",
    )


def test_mistakes_are_told_with_all_others_and_a_pair_only_where_both_can_be_read(files, tmp_path):
    lines = told(tls_cert=str(tmp_path), tls_key=str(tmp_path / "none"), check_interval="fast")
    assert [line.partition(":")[0] for line in lines] == ["--check-interval", "--tls-cert", "--tls-key"]


def test_the_chain_before_the_certificate(files):
    first, second = files.cert.read_text(), Files(files.folder, "issuer").cert.read_text()
    files.cert.write_text(second + first)
    (line,) = told(tls_cert=str(files.cert), tls_key=str(files.key))
    assert "the server's own certificate comes first" in line
