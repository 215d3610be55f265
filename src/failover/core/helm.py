"""A person at the helm: what somebody wants of the verdict, and what the machine may still do by itself meanwhile.

`backup`: the backup serves until that is taken back. `primary`: the primary is given back as soon as it has proved
itself, whatever the hold-down says; from then on all is as usual. `hold`: nobody switches, whatever happens; requests
are rescued all the same. `share`: a part of the visitors is answered by the backup, which only a drill wants. `auto`:
as usual. A wish may end by itself; the primary is then given back as if somebody had asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from failover.core.model import Verdict
from failover.core.table import Sign


class Wish(StrEnum):
    BACKUP = "backup"
    PRIMARY = "primary"
    HOLD = "hold"
    AUTO = "auto"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Steer:
    """Somebody wants something. `until` is when it ends by itself, monotonic seconds; `who` is told in the timeline.

    `share` is the percentage of visitors that the backup gets, for SHARE. `drill`: it is only an exercise.
    """

    wish: Wish
    who: str = ""
    until: float | None = None
    share: int = 0
    drill: bool = False

    @property
    def deed(self) -> str:
        """What is wanted, to be read after a name."""
        return {
            Wish.BACKUP: "drills" if self.drill else "wants the backup to serve",
            Wish.PRIMARY: "wants the primary to serve again",
            Wish.HOLD: "wants nothing to be switched",
            Wish.AUTO: "leaves it to the signals again",
            Wish.SHARE: f"drills with {self.share} % of the visitors",
        }[self.wish]

    @property
    def told(self) -> str:
        """Who wants what, for a reason."""
        return f"{self.who or 'a person'} {self.deed}"


@dataclass(frozen=True, slots=True)
class Steered:
    """What a person wants is done from now on, or no longer, because its time is over."""

    wish: Steer
    over: bool = False


class Helm:
    """`pin` is the wish that lasts; `asked`: a person wants the primary back, once."""

    def __init__(self, pin: Steer | None = None, *, asked: bool = False) -> None:
        self.pin = pin
        self.asked = asked

    @property
    def ends_at(self) -> float | None:
        return self.pin.until if self.pin is not None else None

    def take(self, wish: Steer, verdict: Verdict) -> None:
        before, self.pin = self.pin, wish if wish.wish in (Wish.BACKUP, Wish.HOLD, Wish.SHARE) else None
        if verdict is Verdict.BACKUP and (wish.wish is Wish.PRIMARY or (before is not None and before.drill)):
            self.asked = self.pin is None
        elif wish.wish is Wish.BACKUP:
            self.asked = False

    def expire(self, verdict: Verdict, now: float) -> Steered | None:
        pin = self.pin
        if pin is None or pin.until is None or now < pin.until:
            return None
        self.pin = None
        self.asked = self.asked or (pin.wish is not Wish.HOLD and verdict is Verdict.BACKUP)
        return Steered(pin, over=True)

    def failed(self) -> None:
        """The primary has failed in earnest: a drill is over."""
        if self.pin is not None and self.pin.wish is Wish.SHARE:
            self.pin = None

    def left(self, now: float) -> Steer | None:
        """The wish that lasts, with the seconds that are left of it."""
        pin = self.pin
        return pin if pin is None or pin.until is None else replace(pin, until=max(pin.until - now, 0.0))

    @classmethod
    def restore(cls, left: Steer | None, taken: float, *, asked: bool) -> Helm:
        """A successor's: nobody watches over a drill any more, so it is over."""
        if left is not None and left.drill:
            return cls(asked=left.wish is Wish.BACKUP)
        if left is not None and left.until is not None:
            left = replace(left, until=taken + left.until)
        return cls(left, asked=asked)

    def wants(self, verdict: Verdict) -> Sign | None:
        """The move that a wish asks for, whatever the signals say."""
        wish = self.pin.wish if self.pin is not None else Wish.AUTO
        if wish is Wish.BACKUP:
            return None if verdict is Verdict.BACKUP else Sign.WANTED
        if wish is Wish.SHARE and verdict is Verdict.PRIMARY:
            return Sign.DRILLED
        return None

    def allows(self, sign: Sign, verdict: Verdict) -> bool:
        """Whether the machine may do this by itself while the wish lasts."""
        wish = self.pin.wish if self.pin is not None else Wish.AUTO
        if wish is Wish.BACKUP:
            return False
        if wish is Wish.HOLD:  # what changes nobody's side goes on
            return sign in (Sign.BAD, Sign.CALM) or (verdict is Verdict.RAMP and sign is Sign.DOWN)
        return wish is not Wish.SHARE or sign is not Sign.RAMPED


OBSERVER = "--observe"


def observing(pin: Steer | None, *, observe: bool) -> Steer | None:
    """What `--observe` wants at the start: nobody is switched; and no longer what it wanted the last time."""
    if observe and pin is None:
        return Steer(Wish.HOLD, OBSERVER)
    if not observe and pin is not None and pin.who == OBSERVER:
        return Steer(Wish.AUTO, OBSERVER)
    return None
