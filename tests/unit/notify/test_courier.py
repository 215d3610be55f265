"""Deliveries to fakes that speak as the real ones do: what arrives, how often, in which form, and what is told."""

import queue
import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from failover.core.document import Occasion, Status
from failover.incidents.store import SqliteStore
from failover.notify import courier
from failover.notify.channels import channels
from failover.notify.schedule import Schedule
from support import incidents
from support.fakes import (
    FakeDiscord,
    FakePagerDuty,
    FakeReceiver,
    FakeSlack,
    FakeSlackApi,
    FakeTeams,
    Reply,
)

PATIENCE = 20


def opened(**more):
    return replace(incidents.opened(), updated=datetime.now(UTC), **more)


def resolved():
    return replace(incidents.resolved(), updated=datetime.now(UTC))


QUICK = Schedule(delays=(0.02,), gap=0.0, least_after=0.0)
KINDS = {
    "slack": FakeSlack,
    "slack-bot": FakeSlackApi,
    "discord": FakeDiscord,
    "teams": FakeTeams,
    "pagerduty": FakePagerDuty,
    "generic": FakeReceiver,
}


class Watched(SqliteStore):
    """A store that says when something was written into its outbox."""

    def __init__(self):
        self.written = queue.SimpleQueue()
        super().__init__(None, "on purpose")

    def put(self, row):
        future = super().put(row)
        future.add_done_callback(self.written.put)
        return future

    def wait_until(self, holds):
        while not holds():
            self.written.get(timeout=PATIENCE)


@pytest.fixture
def store():
    store = Watched()
    yield store
    store.close()


@pytest.fixture(params=KINDS)
def fake(request):
    with KINDS[request.param]() as fake:
        fake.kind = request.param
        yield fake


@contextmanager
def at_work(store, *fakes, schedule=QUICK):
    """A courier that serves these fakes; gives the channels' keys."""
    kinds = {cls: kind for kind, cls in KINDS.items()}
    formats = [kinds[type(fake)] for fake in fakes]
    made = channels([fake.url for fake in fakes], formats, (FakeReceiver.secret,))
    working = courier.start(store, made, schedule)
    try:
        yield Tell(store, working)
    finally:
        working.close()


class Tell:
    def __init__(self, store, working):
        self.store, self.courier = store, working

    def __call__(self, document):
        self.store.save(document, b"", self.courier.channels).result(PATIENCE)
        self.courier.poke()

    def row(self, number=0):
        """The row of a channel, when nothing is under way there."""
        key = self.courier.channels[number]
        return next(iter(self.store.outbox((key,)).result(PATIENCE)), None)

    def settled(self, accept, number=0):
        """Wait until the row is as it should be."""
        self.store.wait_until(lambda: accept(self.row(number)))
        return self.row(number)


def told_open(row):
    return row is not None and row.told_status is Status.OPEN and not row.sending


def gone(row):
    return row is None


# The contract, for every destination


def test_the_beginning_and_the_end_arrive_once_each(store, fake):
    with at_work(store, fake) as tell:
        tell(opened())
        fake.wait_for(1)
        tell.settled(told_open)
        tell(resolved())
        tell.settled(gone)
        tell.courier.poke()
    assert len(_news(fake)) == 2


def test_what_never_left_is_one_message(store, fake):
    fake.hold()
    with at_work(store, fake) as tell:
        fake.answers.append(_later(fake))
        tell(opened())
        fake.wait_for_seen(1)
        tell(resolved())
        fake.release()
        tell.settled(gone)
    assert len(_news(fake)) == 1


def test_a_courier_that_follows_tells_nothing_twice(store, fake):
    with at_work(store, fake) as tell:
        tell(opened())
        fake.wait_for(1)
        tell.settled(told_open)
    with at_work(store, fake) as tell:
        tell(opened())
        tell(resolved())
        tell.settled(gone)
    with at_work(store, fake) as tell:
        tell(resolved())
        assert tell.row() is None
    assert len(_news(fake)) == 2


def last(store):
    """What the last try met, and whether no more is tried."""
    found = store._do(lambda connection: connection.execute("SELECT last_error, over FROM outbox").fetchone())
    return found.result(PATIENCE)


def test_a_secret_is_in_no_log_and_no_row(store, fake, capfd):
    from failover.observe import log

    log.configure(json_logs=True, level="debug")
    fake.answers.append(_broken(fake))
    with at_work(store, fake) as tell:
        tell(opened())
        fake.wait_for_seen(1)
        key = tell.courier.channels[0]
        store.wait_until(lambda: last(store)[1])
        row = last(store)
    told = capfd.readouterr().err
    assert "notification.failed" in told
    assert row[0]
    assert "hunter2" not in told + row[0] + key


def test_a_hanging_one_delays_nobody_and_no_end(store):
    with FakeSlack() as hanging, FakeDiscord() as other:
        hanging.hold()
        with at_work(store, hanging, other) as tell:
            tell(opened())
            hanging.wait_for_seen(1)
            other.wait_for(1)
            tell(resolved())
            other.wait_for(3)  # the message itself, its change, and the end
        assert hanging.taken == []


# What each of them says


def test_a_wish_to_be_left_alone_is_obeyed(store):
    with FakeSlack() as slack:
        slack.answers += [slack.rate_limited(0.3), slack.rate_limited(0.2)]
        with at_work(store, slack, schedule=replace(QUICK, delays=(3600,))) as tell:
            tell(opened())
            slack.wait_for(1)
            tell.settled(told_open)
    assert len(slack.seen) == 3


def test_a_form_that_is_refused_becomes_plainer_until_it_is_taken(store):
    with FakeSlack() as slack:
        slack.answers += [slack.refused("invalid_blocks"), slack.refused("invalid_blocks")]
        with at_work(store, slack) as tell:
            tell(opened())
            assert set(slack.wait_for(1).payload) == {"text"}
            tell.settled(told_open)
    assert ["attachments" in one.payload for one in slack.seen] == [True, False, False]


def test_slack_that_chokes_twice_without_a_word_gets_a_plainer_one(store):
    with FakeSlack() as slack:
        slack.answers += [slack.choked(), slack.choked()]
        with at_work(store, slack) as tell:
            tell(opened())
            slack.wait_for(1)
            tell.settled(told_open)
    assert ["attachments" in one.payload for one in slack.seen] == [True, True, False]


def test_a_broken_channel_is_tried_again_with_the_next_news(store):
    with FakeSlack() as slack:
        slack.answers.append(slack.refused("no_service"))
        with at_work(store, slack) as tell:
            tell(opened())
            slack.wait_for_seen(1)
            tell.settled(gone)
            tell(resolved())
            slack.wait_for(1)
    assert len(slack.seen) == 2


def test_news_does_not_wait_for_the_next_try_of_what_was_old(store):
    with FakeSlack() as slack:
        slack.answers.append(Reply(503))
        with at_work(store, slack, schedule=replace(QUICK, delays=(3600,))) as tell:
            tell(opened())
            tell.settled(lambda row: row.tries == 1 and not row.sending)
            tell(resolved())
            assert "RECOVERY" in slack.wait_for(1).payload["text"]


@pytest.mark.parametrize("kind", [FakeSlack, FakeReceiver])
def test_what_may_have_arrived_says_so_where_nobody_would_notice_that_it_is_the_second(store, kind):
    with kind() as fake:
        with at_work(store, fake) as tell:
            key = tell.courier.channels[0]
        store.save(opened(), b"", (key,)).result(PATIENCE)
        (row,) = store.outbox((key,)).result(PATIENCE)
        store.put(replace(row, sending=True)).result(PATIENCE)  # its courier was killed in the middle
        with at_work(store, fake):
            assert ("RESENT" in fake.wait_for(1).body.decode()) is (kind is FakeSlack)


def test_a_name_that_does_not_resolve_is_tried_until_it_does(store):
    with FakeSlack() as slack:
        dead = channels([f"http://nobody.invalid:{slack.port}/x"], ["slack"])
        working = courier.start(store, dead, QUICK)
        try:
            store.save(opened(), b"", working.channels).result(PATIENCE)
            working.poke()
            tell = Tell(store, working)
            row = tell.settled(lambda row: row.tries >= 3)
            assert "nobody.invalid" in row.last_error
            assert not row.over
        finally:
            working.close()


def test_what_comes_late_says_why(store):
    with FakeSlack() as slack:
        slack.answers += [slack.rate_limited(0.05)] * 3
        with at_work(store, slack, schedule=replace(QUICK, late=0.0)) as tell:
            tell(opened())
            assert "elivery delayed" in slack.wait_for(1).payload["text"]


def test_discord_grows_one_message_and_rings_at_the_end(store):
    with FakeDiscord() as discord, at_work(store, discord, schedule=replace(QUICK, edits=(0.01, 0.02))) as tell:
        tell(opened())
        discord.wait_for(1)
        tell.settled(told_open)
        tell(opened(summary="It goes on."))
        discord.wait_for(2)
        tell(resolved())
        tell.settled(gone)
    assert [one.method for one in discord.taken if one.method == "POST"] == ["POST", "POST"]
    assert len(discord.messages) == 2
    assert discord.taken[0].files["files[0]"].startswith(b"\x89PNG")
    assert all(message["embeds"][0]["color"] == 0x2EB67D for message in discord.messages.values())


def test_discord_is_left_alone_when_its_bucket_is_empty(store):
    with FakeDiscord() as discord:
        discord.remaining = 0
        with at_work(store, discord) as tell:
            tell(opened())
            discord.wait_for(1)
            tell.settled(told_open)


def test_the_bot_keeps_one_message_and_tells_the_end_in_its_thread(store):
    with FakeSlackApi() as slack, at_work(store, slack) as tell:
        tell(opened())
        slack.wait_for(1)
        tell.settled(told_open)
        tell(resolved())
        tell.settled(gone)
    assert slack.methods() == [
        "chat.postMessage",
        "chat.update",
        "chat.postMessage",
        "files.getUploadURLExternal",
        "/upload",
        "files.completeUploadExternal",
    ]
    assert slack.taken[2].payload["thread_ts"] == slack.taken[1].payload["ts"]


def test_a_generic_webhook_has_one_id_on_every_try(store):
    with FakeReceiver() as receiver:
        receiver.answers.append(_later(receiver))
        with at_work(store, receiver) as tell:
            tell(opened())
            receiver.wait_for(1)
    ids = [one.headers["webhook-id"] for one in receiver.seen]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_pagerduty_opens_and_closes_one_alert(store):
    with FakePagerDuty() as pagerduty, at_work(store, pagerduty) as tell:
        tell(opened())
        pagerduty.wait_for(1)
        tell.settled(told_open)
        tell(resolved())
        pagerduty.wait_for(2)
    assert [one.payload["event_action"] for one in pagerduty.taken] == ["trigger", "resolve"]
    assert len({one.payload["dedup_key"] for one in pagerduty.taken}) == 1


def test_apprise_reaches_the_rest(store):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it loads what Python will not have for long
        import apprise

        apprise.Apprise().add("json://localhost")
    with FakeReceiver() as anybody:
        anybody.answers += [_fine()] * 5
        made = channels([f"json://127.0.0.1:{anybody.port}/x"])
        working = courier.start(store, made, QUICK)
        try:
            store.save(opened(), b"", working.channels).result(PATIENCE)
            working.poke()
            assert "Downtime hidden" in anybody.wait_for(1).payload["message"]
        finally:
            working.close()


def test_without_channels_there_is_no_thread(store):
    before = threading.active_count()
    idle = courier.start(store, ())
    idle.poke()
    assert threading.active_count() == before
    idle.close()


def _fine():
    return Reply(200)


def _later(fake):
    return fake.rate_limited(0.05) if hasattr(fake, "rate_limited") else Reply(503, "later")


def _broken(fake):
    token = "xoxb-hunter2hunter2" if isinstance(fake, FakeSlackApi) else "hunter2hunter2"
    return Reply(404, f"nothing for {token}")


def _news(fake):
    """What people heard: no change of a message that stands, no picture."""
    if isinstance(fake, FakeDiscord):
        return [one for one in fake.taken if one.method == "POST"]
    if isinstance(fake, FakeSlackApi):
        return [one for one in fake.taken if one.path.endswith("chat.postMessage")]
    return fake.taken


def test_occasions_are_the_events_of_the_generic_webhook(store):
    with FakeReceiver() as receiver, at_work(store, receiver) as tell:
        tell(opened())
        assert receiver.wait_for(1).payload["type"] == Occasion.OPENED
        tell.settled(told_open)
        tell(resolved())
        assert receiver.wait_for(2).payload["type"] == Occasion.RESOLVED
        tell.settled(gone)
        tell(opened(episode=2))
        assert receiver.wait_for(3).payload["type"] == Occasion.REOPENED


@pytest.mark.parametrize("lack", [OSError(24, "Too many open files"), MemoryError()], ids=["descriptors", "memory"])
def test_what_this_machine_lacks_delays_a_message_and_never_ends_it(store, monkeypatch, lack):
    """However often: no plainer form would go either, and it is nobody's refusal."""
    from failover.notify import post

    made, tries = post.session, []

    def session(*args):
        tries.append(1)
        if len(tries) <= 5:
            raise lack
        return made(*args)

    monkeypatch.setattr(post, "session", session)
    with FakeSlack() as fake, at_work(store, fake) as tell:
        tell(opened())
        tell.settled(told_open)
    assert len(_news(fake)) == 1
    assert len(tries) == 6


def test_a_message_without_a_thread_to_draw_its_picture_in_goes_without(store, monkeypatch):
    start, refused = threading.Thread.start, []

    def no_room(thread):
        if thread.name == "courier's" and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", no_room)
    with FakeDiscord() as fake, at_work(store, fake) as tell:
        tell(opened())
        tell.settled(told_open)
    assert refused
    assert len(_news(fake)) == 1
    assert not fake.taken[0].files
