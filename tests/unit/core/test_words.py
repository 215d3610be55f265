import pytest

from failover.core.model import ErrorType
from failover.core.words import CHECK, SENTENCE, count, failing, lasting


def test_every_error_has_a_sentence_and_something_to_check():
    assert set(SENTENCE) == set(CHECK) == set(ErrorType)


@pytest.mark.parametrize("check", CHECK.values())
def test_a_check_is_one_short_plain_sentence(check):
    assert check[0].isupper()
    assert check.endswith((".", "?"))
    assert not {"?", "!"} & set(check[:-1])
    assert ". " not in check
    assert len(check) <= 100


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"), (-0.1, "0 ms"), (0.0421, "42 ms"), (0.0999, "0.1 s"), (0.42, "0.4 s"), (2.0, "2 s"),
        (9.94, "9.9 s"), (9.96, "10 s"), (75, "75 s"), (120, "2 min"), (185, "3 min 5 s"),
        (7200, "2 h"), (7860, "2 h 11 min"),
    ],
)  # fmt: skip
def test_durations_as_a_person_says_them(seconds, words):
    assert lasting(seconds) == words


def test_counted_things():
    assert [count(n, "probe") for n in (0, 1, 2)] == ["0 probes", "1 probe", "2 probes"]


def test_a_detail_is_told_where_it_tells_more():
    assert failing("primary", ErrorType.HTTP_5XX, "503") == "primary answered with a server error: 503"
    assert failing("primary", ErrorType.CONNECTION_REFUSED, "connection refused") == "primary refused connections"
    assert failing("backup", None, "") == "backup failed"
