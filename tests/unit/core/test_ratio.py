import pytest

from failover.core.ratio import Ratio, folded


def told(paths, good=0):
    ratio = Ratio()
    return [ratio.error(path, good if number else 0, 100.0 + number) for number, path in enumerate(paths)]


def test_one_page_is_never_enough():
    assert not any(told(["/a"] * 50))
    assert not any(told(["/a", "/b"] * 25))
    assert not any(told([f"/order/{number}" for number in range(50)]))


def test_several_pages_are():
    assert told(["/a", "/b", "/c", "/a", "/b"]) == [None] * 4 + ["500 on 3 paths"]


def test_not_among_as_many_good_answers():
    assert not any(told(["/a", "/b", "/c", "/a", "/b"], good=6))
    assert any(told(["/a", "/b", "/c", "/a", "/b"], good=5))


def test_what_is_long_ago_does_not_count():
    ratio = Ratio()
    assert [ratio.error(path, 0, at) for path, at in [("/a", 0.0), ("/b", 3.0), ("/c", 6.0), ("/a", 9.0)]] == [None] * 4
    assert ratio.error("/b", 0, 20.0) is None


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("/orders/17?x=1", "/orders/*"),
        ("/orders/17/items/18", "/orders/*/items/*"),
        ("/u/0f8fad5b-d9cb-469f-a165-70867728950e", "/u/*"),
        ("/about", "/about"),
    ],
)
def test_ids_are_folded(path, out):
    assert folded(path) == out
