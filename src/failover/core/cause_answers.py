"""Causes that an answer shows, or the lack of one on an accepted connection. Pure, one rule a function."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from failover.core.cause_reach import accepted
from failover.core.cause_scene import span
from failover.core.model import ErrorType
from failover.core.words import CHECK

if TYPE_CHECKING:
    from failover.core.cause_scene import Scene
    from failover.core.document import Cause

_SERVER = (ErrorType.HTTP_5XX,)
_ANSWERED = (ErrorType.HTTP_5XX, ErrorType.HTTP_429, ErrorType.DESTINATION_UNAVAILABLE, ErrorType.BAD_BODY)
_UNANSWERED = (ErrorType.HTTP_RESPONSE_TIMEOUT,)
_SLOW = (ErrorType.HTTP_RESPONSE_TIMEOUT, ErrorType.CONNECTION_READ_TIMEOUT, ErrorType.SLOW)
_TOO_MANY = (ErrorType.HTTP_429, ErrorType.HTTP_5XX)
_LATE = (*_SLOW, ErrorType.CONNECTION_TIMEOUT)
_CUT = (ErrorType.HTTP_RESPONSE_INCOMPLETE, ErrorType.CONNECTION_TERMINATED)
_PROTOCOL = (ErrorType.HTTP_PROTOCOL_ERROR,)
_LOOP = (ErrorType.PROXY_LOOP_DETECTED,)
_BODY = (ErrorType.BAD_BODY,)

_OVERLOADED = re.compile(
    r"too many (connections|clients|requests)|connection slots are reserved|queue ?pool limit|queue (is )?full"
    r"|over capacity|overloaded|resource limit is reached|no more connections|pool exhausted|rate limit|bandwidth limit"
)
_MAINTENANCE = re.compile(r"maintenance|be (right )?back (soon|shortly)|briefly unavailable|upgrad(e|ing) in progress")
_DATABASE = re.compile(
    r"error establishing a database connection|sqlstate\[(hy000|08006)\]|could not connect to (server|database)"
    r"|connection to server at .{1,80} failed|operationalerror|econnrefused|mongo(server|network)\w*error"
    r"|can't connect to (local )?(mysql|mariadb) server|database is (locked|down|unavailable)|redis\w*error"
    r"|communications link failure|no pg_hba\.conf entry"
)


def page_of_others(scene: Scene) -> Cause | None:
    """The answer is not the app's own: a platform or a proxy before the app made it."""
    page = scene.whose
    if page is None or not scene.mostly(_ANSWERED):
        return None
    kind = "platform_error_page" if page.platform else "gateway_error_page"
    title = "{answers|answered} in place of the app: " if page.platform else "{gets|got} no answer from the app: "
    return scene.cause(
        kind,
        f"{page.who} {scene.say(title)}{page.says}",
        _ANSWERED,
        (
            *scene.counted(_ANSWERED, "answered by an error page"),
            scene.by_status(),
            f"Server: {scene.headers['Server']}" if scene.headers.get("Server") else "",
            scene.quoted(),
        ),
        page.check,
    )


def maintenance(scene: Scene) -> Cause | None:
    if scene.status != 503 or not scene.mostly(_SERVER) or not _MAINTENANCE.search(scene.text):
        return None
    return scene.cause(
        "maintenance",
        scene.say("The app {says|said} that it {is|was} under maintenance"),
        _SERVER,
        (*scene.counted(_SERVER, "answered 503"), scene.quoted(), scene.retry_after()),
        "Was it meant to be? Then look whether the maintenance is over.",
    )


def overload(scene: Scene) -> Cause | None:
    """The app says so, in its status, headers or words; or it took longer and longer before it was silent."""
    ramp = scene.ramp
    words = _OVERLOADED.search(scene.text)
    says_so = scene.mostly(_TOO_MANY) and (
        scene.mostly((ErrorType.HTTP_429,))
        or scene.status in {429, 508}
        or (scene.status == 503 and scene.retry_after())
        or words
    )
    if not says_so and not (ramp and scene.mostly(_LATE)):
        return None
    errors = _TOO_MANY if says_so else _LATE
    return scene.cause(
        "overload",
        scene.say("The app {has|had} more to do than it {can|could}"),
        errors,
        (
            *scene.counted(errors, "turned away" if says_so else "not answered in time"),
            scene.by_status() if says_so else "",
            scene.retry_after(),
            f"good probes took longer and longer before: {span(ramp[0])}, and {span(ramp[1])} at last" if ramp else "",
            scene.quoted(),
        ),
        "Who sends so many requests, or what made each so slow? Look at its load, workers, connections and database.",
        sure=0 if words or ramp or scene.retry_after() else -1,
    )  # fmt: skip


def hung(scene: Scene) -> Cause | None:
    """Connections are accepted, and nothing comes. A kernel accepts for a process that does not look."""
    silent = (*_UNANSWERED, ErrorType.CONNECTION_TIMEOUT) if accepted(scene) else _UNANSWERED
    if not scene.mostly(silent) or scene.probes(silent) < 0.8 * scene.bad_probes or not scene.bad_probes:
        return None
    if scene.findings.good_probes or scene.findings.good_requests * 4 > scene.bad_requests + 4:
        return None
    return scene.cause(
        "hung",
        scene.say("The app {hangs|hung}: it {accepts|accepted} connections and {answers|answered} nothing"),
        (*silent, *_SLOW),
        (
            *scene.counted(silent, "accepted and not answered"),
            "not one good answer came meanwhile",
        ),
        "Is the process stopped, out of workers, or waiting for a lock or its database? Take a stack dump first.",
    )


def slow(scene: Scene) -> Cause | None:
    errors = (*_SLOW, ErrorType.CONNECTION_TIMEOUT) if accepted(scene) else _SLOW
    if not scene.mostly(errors):
        return None
    some = scene.findings.good_probes + scene.findings.good_requests
    return scene.cause(
        "slow",
        scene.say("The app {answers|answered} too slowly"),
        errors,
        (
            *scene.counted(errors, "not answered in time"),
            f"{some} others were answered meanwhile" if some else "",
            f"good probes took {span(max(scene.findings.latencies))} at most before"
            if scene.findings.latencies
            else "",
        ),
        CHECK[ErrorType.SLOW],
    )


def dependency_gone(scene: Scene) -> Cause | None:
    found = _DATABASE.search(scene.text)
    if found is None or not scene.mostly(_SERVER):
        return None
    return scene.cause(
        "dependency_gone",
        scene.say("The app {runs|ran}, but {cannot|could not} reach its database or a service that it needs"),
        _SERVER,
        (scene.quoted(), *scene.counted(_SERVER, "answered with an error"), scene.by_status()),
        "Look at the database or service that its page names: does it run, and does it take connections?",
    )


def app_errors(scene: Scene) -> Cause | None:
    if not scene.mostly(_SERVER):
        return None
    return scene.cause(
        "app_errors",
        scene.say("The app {runs|ran}, but {answers|answered} with errors"),
        _SERVER,
        (
            *scene.counted(_SERVER, "answered with an error"),
            scene.by_status(),
            f"Server: {scene.headers['Server']}" if scene.headers.get("Server") else "",
            scene.quoted(),
        ),
        CHECK[ErrorType.HTTP_5XX],
    )


def cut_answers(scene: Scene) -> Cause | None:
    if not scene.mostly(_CUT):
        return None
    begun = scene.probes(_CUT[:1]) + scene.requests(_CUT[:1])
    return scene.cause(
        "cut_answers",
        scene.say("The app {breaks|broke} off while it {answers|answered}"),
        _CUT,
        (
            *scene.counted(_CUT, "broken off"),
            f"{begun} of them in the middle of an answer" if begun else "all of them before an answer began",
        ),
        CHECK[ErrorType.HTTP_RESPONSE_INCOMPLETE],
    )


def not_http(scene: Scene) -> Cause | None:
    if not scene.mostly(_PROTOCOL):
        return None
    facts = (scene.findings.first, scene.findings.last)
    detail = next((fact.detail for fact in facts if fact is not None and fact.error in _PROTOCOL and fact.detail), "")
    return scene.cause(
        "not_http",
        scene.say("What {answers|answered} {is|was} not valid HTTP"),
        _PROTOCOL,
        (*scene.counted(_PROTOCOL, "answered with something else"), detail and f"the parser says: {detail}"),
        CHECK[ErrorType.HTTP_PROTOCOL_ERROR],
    )


def wrong_page(scene: Scene) -> Cause | None:
    if not scene.mostly(_BODY):
        return None
    return scene.cause(
        "wrong_page",
        scene.say("Another page {stands|stood} in the app's place"),
        _BODY,
        (*scene.counted(_BODY, "answered by a page that is not the expected one"), scene.quoted()),
        CHECK[ErrorType.BAD_BODY],
    )


def proxy_loop(scene: Scene) -> Cause | None:
    if not scene.mostly(_LOOP):
        return None
    return scene.cause(
        "proxy_loop",
        scene.say("The primary's address {leads|led} back to this proxy"),
        _LOOP,
        scene.counted(_LOOP, "our own, come back to us"),
        CHECK[ErrorType.PROXY_LOOP_DETECTED],
        sure=1,
    )
