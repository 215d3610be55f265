"""What a visitor would notice, in sentences."""

from dataclasses import replace

import pytest

from failover.core.alike import Look, differences

PAGE = Look(status=200, content_type="text/html; charset=utf-8", title="Shop", length=4000, server="nginx")


def test_a_look_is_like_itself():
    assert differences(PAGE, PAGE) == ()


@pytest.mark.parametrize(
    "backup",
    [
        replace(PAGE, status=203),
        replace(PAGE, content_type="Text/HTML"),
        replace(PAGE, title="  Shop\n"),
        replace(PAGE, length=20_000),
        replace(PAGE, length=800),
        replace(PAGE, length=-1),
        replace(PAGE, server="AmazonS3"),
    ],
    ids=[
        "same class",
        "another charset",
        "white space",
        "five times longer",
        "five times shorter",
        "unknown",
        "server",
    ],
)
def test_what_no_visitor_notices_is_no_difference(backup):
    assert differences(PAGE, backup) == ()


@pytest.mark.parametrize(
    ("backup", "said"),
    [
        (replace(PAGE, status=404), "the status is 200 on the primary and 404 on the backup"),
        (replace(PAGE, title="Error"), "the title is “Shop” on the primary and “Error” on the backup"),
        (replace(PAGE, title=""), "the title is “Shop” on the primary and empty on the backup"),
        (replace(PAGE, length=799), "the body has 4,000 bytes on the primary and 799 on the backup"),
        (replace(PAGE, length=20_001), "the body has 4,000 bytes on the primary and 20,001 on the backup"),
        (replace(PAGE, length=0), "the body has 4,000 bytes on the primary and 0 on the backup"),
        (
            replace(PAGE, content_type="application/json"),
            "the content type is text/html on the primary and application/json on the backup",
        ),
        (replace(PAGE, content_type=""), "the content type is text/html on the primary and not named on the backup"),
    ],
)
def test_one_difference_is_one_sentence(backup, said):
    assert differences(PAGE, backup) == (said,)


def test_all_differences_are_told_the_most_telling_first():
    told = differences(PAGE, replace(PAGE, status=503, title="Sorry", length=10))
    assert [sentence.split()[1] for sentence in told] == ["status", "title", "body"]


def test_short_bodies_are_not_judged_by_their_length():
    assert differences(Look(status=200, length=2), Look(status=200, length=200)) == ()
    assert differences(Look(status=200, length=0), Look(status=200, length=256)) != ()


def test_titles_are_compared_of_pages_alone():
    picture = Look(status=200, content_type="image/svg+xml", title="a")
    assert differences(picture, replace(picture, title="b")) == ()


def test_redirects_lead_to_the_same_place():
    login = Look(status=302, location="/login")
    assert differences(login, replace(login, status=307)) == ()
    assert differences(login, replace(login, location="/sorry")) == (
        "the redirect leads to “/login” on the primary and to “/sorry” on the backup",
    )


@pytest.mark.parametrize(("status", "good"), [(199, False), (200, True), (302, True), (399, True), (400, False)])
def test_a_good_answer_is_no_error(status, good):
    assert Look(status=status).is_good is good
