import pytest

from failover.reports.paint import DARK, LIGHT, ON_BAND, PATTERNED, PATTERNS, STYLE


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_all_words_are_readable(scheme):
    assert contrast(scheme["text"], scheme["surface"]) >= 7
    assert contrast(scheme["muted"], scheme["surface"]) >= 4.5
    assert contrast(scheme["on-ok"], scheme["ok"]) >= 4.5
    for band in ON_BAND:
        assert contrast(scheme["on-band"], scheme[band]) >= 4.5, band


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_what_hurts_is_to_be_seen_on_the_surface(scheme):
    for name in ("failed", "refused", "none", "primary", "backup"):
        assert contrast(scheme[name], scheme["surface"]) >= 3, name


def test_both_schemes_name_the_same_things():
    assert LIGHT.keys() == DARK.keys()


def test_only_the_theme_that_follows_the_reader_asks_for_the_scheme():
    assert "prefers-color-scheme" in STYLE["auto"]
    assert "@media" not in STYLE["light"]
    assert not any(colour in STYLE["light"] for colour in DARK.values() if colour not in LIGHT.values())


def test_each_pattern_that_is_used_is_there():
    assert all(f'id="fo-{name}"' in PATTERNS for name in PATTERNED)
