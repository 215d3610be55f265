"""What an answer means."""

import pytest

from failover.notify.verdict import Answer, Then, judge, retry_after


@pytest.mark.parametrize("status", [200, 202, 204])
def test_taken(status):
    assert judge(Answer(status)) is None


@pytest.mark.parametrize(
    ("status", "then"),
    [
        (301, Then.REFUSED),
        (302, Then.REFUSED),
        (400, Then.PLAINER),
        (401, Then.BROKEN),
        (403, Then.BROKEN),
        (404, Then.BROKEN),
        (408, Then.RETRY),
        (409, Then.REFUSED),
        (410, Then.BROKEN),
        (413, Then.PLAINER),
        (425, Then.RETRY),
        (429, Then.RETRY),
        (500, Then.RETRY),
        (503, Then.RETRY),
    ],
)
def test_not_taken(status, then):
    verdict = judge(Answer(status, body="their words"))
    assert verdict.then is then
    assert str(status) in verdict.told
    assert "their words" in verdict.told


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Wed, 25 Nov 2026 08:00:30 GMT", "date": "Wed, 25 Nov 2026 08:00:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 25 Nov 2026 08:00:30 GMT"}, None),
        ({"retry-after": "Wed, 25 Nov 99999999999 08:00:30 GMT", "date": "Wed, 25 Nov 2026 08:00:00 GMT"}, None),
    ],
)
def test_how_long_to_wait(headers, seconds):
    assert retry_after(Answer(429, headers)) == seconds
