"""Who somebody is."""

from __future__ import annotations

from failover.settings.users import User


def test_a_user_who_was_put_into_another_group_is_the_same_one():
    """Otherwise the next reload is refused, for a setting that nobody has changed."""
    before = User("www", 33, 33, (33,), "/var/www")
    assert User("www", 33, 33, (33, 4), "/srv") == before
    assert User("www", 34, 33, (33,), "/var/www") != before
    assert User("www", 33, 34, (34,), "/var/www") != before
