"""A sheet as the controller publishes it."""

from failover.admin.base import Event, Live, Sheet, State, Target


def sheet(counters=None, **more):
    """A state in which all is well; `more` is what is different, `counters` come with it."""
    known = {
        "version": "1.2.3",
        "now": 1_800_000_000.0,
        "started": 1_799_990_000.0,
        "listening": ["http://127.0.0.1:8080"],
        "serving": "primary",
        "sentence": "The primary serves",
        "reason": "",
        "verdict": "primary",
        "share": 100,
        "since": 1_799_990_001.0,
        "failback": "auto",
        "fail_count": 0,
        "fail_threshold": 3,
        "recover_count": 0,
        "recover_threshold": 3,
        "targets": [
            Target(alias="primary", url="http://app.example", kind="app", usable=True, serving=True),
            Target(alias="backup", url="http://b.example", kind="static", usable=False, serving=False),
        ],
        "live": Live(in_flight=4, clients=7, held=2, workers=2),
    }
    return Sheet(State(**known | more), counters or {})


def event(number, text="something happened"):
    return Event(id=number, at=1_800_000_000.0, level="info", action="test.happened", text=text)
