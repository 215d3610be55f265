from failover.reports.tame import tame


def test_what_mentions_or_masks_a_link_is_replaced_by_what_looks_like_it():
    assert tame("<!channel> @here `x` [a](b)") == "‹!channel› ＠here 'x' (a)(b)"  # noqa: RUF001 - the signs meant


def test_it_is_one_visible_line():
    assert tame("a\nb\x00\u202e") == "a b"
