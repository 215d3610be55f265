import pytest

from failover.core.validators import Marks

MARKS = Marks("backup")


@pytest.mark.parametrize(
    ("line", "out"),
    [
        (b'ETag: "v1"', [b'ETag: "backup~v1"']),
        (b'etag:W/"v1"', [b'ETag: W/"backup~v1"']),
        (b'ETag: ""', [b'ETag: "backup~"']),
        (b"ETag: v1", []),
        (b"Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT", []),
        (b"Content-Type: text/html", [b"Content-Type: text/html"]),
    ],
)
def test_an_answer_leaves_with_marks(line, out):
    assert MARKS.on_answer([line]) == out


RANGE = b"Range: bytes=1-2"
DATE = b"Mon, 23 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("lines", "out"),
    [
        ([b'If-None-Match: "v1"'], []),
        ([b'If-None-Match: "backup~v1"'], [b'If-None-Match: "v1"']),
        ([b'If-None-Match: "x", W/"backup~v1", "backup-2~v1"'], [b'If-None-Match: W/"v1"']),
        ([b"If-None-Match: *"], [b"If-None-Match: *"]),
        ([b"If-Modified-Since: " + DATE], []),
        ([RANGE], [RANGE]),
        ([RANGE, b'If-Range: "backup~v1"'], [RANGE, b'If-Range: "v1"']),
        ([RANGE, b'If-Range: "v1"'], []),
        ([b"If-Range: " + DATE, RANGE], []),
        ([RANGE, b"If-Unmodified-Since: " + DATE], []),
        ([b'If-Match: "backup~v1", "v2"'], [b'If-Match: "v1", "v2"']),
    ],
)
def test_a_page_is_asked_for_by_its_own_validators_alone(lines, out):
    assert MARKS.off_request(lines, safe=True) == out


@pytest.mark.parametrize(
    ("lines", "out"),
    [
        ([b'If-Match: "backup~v1"'], [b'If-Match: "v1"']),
        ([b'If-Match: "v1"'], [b'If-Match: "v1"']),
        ([b'If-None-Match: "v1"'], [b'If-None-Match: "v1"']),
        ([b"If-Unmodified-Since: " + DATE], [b"If-Unmodified-Since: " + DATE]),
    ],
)
def test_a_write_never_loses_its_guard(lines, out):
    assert MARKS.off_request(lines, safe=False) == out
