"""What destinations of notifications answer (`notify/verdict`, and the formats that know more).

1. Nothing is raised: a destination that talks nonsense must not make a message be taken for one that cannot be written.
2. Seconds that are asked for are a finite number, not below zero.
3. A status of success is a success where the format does not say otherwise; a 5xx or 429 is always tried again.
"""

from __future__ import annotations

import math

from failover.notify import discord, slack_bot
from failover.notify.post import as_object
from failover.notify.verdict import Answer, Then, judge, number, retry_after
from fuzz.parts import taken_apart

DICTIONARY = "http"
STATUSES = (200, 204, 301, 400, 401, 403, 404, 408, 410, 413, 418, 422, 425, 429, 500, 502, 503)


def one(data):
    data, numbers = taken_apart(data)
    head, _, body = data.partition(b"\n\n")
    headers = {}
    for line in head.split(b"\n"):
        name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
        headers[name.strip().lower()] = value.strip()
    answer = Answer(STATUSES[sum(numbers) % len(STATUSES)], headers, body.decode("utf-8", "replace"))
    seconds = [retry_after(answer), *map(number, headers.values()), *map(number, as_object(answer).values())]
    for judged in (judge, discord.judged, slack_bot.judged):
        verdict = judged(answer)
        if verdict is not None:
            seconds.append(verdict.after)
            assert verdict.told
        if answer.status >= 500 or answer.status == 429:
            assert verdict is not None
            assert verdict.then in {Then.RETRY, Then.BROKEN} if judged is discord.judged else verdict.then is Then.RETRY
    assert judge(answer) is None or answer.status >= 300
    assert all(one is None or (math.isfinite(one) and one >= 0) for one in seconds)
    discord._gone(answer)
    pause = discord._receipt(answer, None, "").pause
    assert math.isfinite(pause)
    assert pause >= 0
