"""What is to be told in tests: the sample documents, and documents full of texts that nobody would wish for."""

from dataclasses import replace
from itertools import cycle, islice

from hypothesis import strategies as st

from failover.core.document import (
    Confidence,
    Document,
    Entry,
    Happening,
    Occasion,
    PathCount,
    Place,
    Rung,
    Severity,
    Telling,
)
from support.incidents import ALL, at


def of(document: Document, **more) -> Telling:
    """The telling that fits: opened or resolved, as rich as it can be."""
    occasion = Occasion.RESOLVED if document.resolved else Occasion.OPENED
    return Telling(**{"occasion": occasion, "document": document} | more)


def sample(name: str, rung: Rung = Rung.RICH, **more) -> Telling:
    return of(ALL[name](), rung=rung, **more)


EVIL = "evil.example"
ATTACKS = (
    *("<!channel>", "<!here|x>", "<@U024BE7LH>", "<#C024BE7LR>", "@everyone", "@here", "<@&1>", "<t:1:R>"),
    *(f"<http://{EVIL}|bank>", f"[bank](http://{EVIL})", f"http://{EVIL}/x", f"www.{EVIL}", f"mail@{EVIL}"),
    *("`", "``", "```", "\\", "\\`", "*", "**", "_", "~", "||", "|", "]", "](", ")", "# ", "> ", "- ", "-# "),
    *("&", "&lt;", "<", ">", "<at>x</at>", "{{DATE(2026-01-01T00:00:00Z)}}", "${x}", ":boom:", "\n", "\r"),
    *("\x00", "\x1b[31m", "\u2028", "\ud800", "\u202e", "\u0634\u0643\u0631", "e\u0301", "\U0010ffff", "😀"),
    *("👩\u200d👩\u200d👧", "x" * 3000, "😀" * 700, "&" * 900, "<" * 900),
)  # fmt: skip

texts = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=12), max_size=10).map("".join)


@st.composite
def documents(draw) -> Document:
    """With up to 500 entries in the timeline, and each text that may be foreign made of attacks."""
    some = cycle(draw(st.lists(texts, min_size=1, max_size=6)))
    whole = draw(st.sampled_from([ALL[name]() for name in ("resolved", "opened", "long", "sparse", "drill")]))
    entries = draw(st.sampled_from([0, 1, 12, 13, 500]))
    happenings = list(islice(cycle(Happening), entries))
    return replace(
        whole,
        severity=draw(st.sampled_from(Severity)),
        episode=draw(st.integers(1, 4)),
        title=next(some),
        summary=next(some),
        link=draw(st.sampled_from([whole.link, f"javascript:{EVIL}", f"https://x|{EVIL}>", f"https://x/)[{EVIL}"])),
        primary=Place(alias=next(some), url=next(some)),
        backups=tuple(Place(alias=next(some), url=next(some)) for _ in range(draw(st.integers(0, 5)))),
        paths=tuple(PathCount(path=next(some), requests=1) for _ in range(10)),
        cause=whole.cause and replace(
            whole.cause, kind=next(some), title=next(some), confidence=draw(st.sampled_from(Confidence)),
            facts=tuple(islice(some, 6)), check=next(some),
        ),
        timeline=tuple(
            Entry(at=at(n), after=n, what=what, text=next(some), evidence=next(some), who=next(some), times=n % 3)
            for n, what in enumerate(happenings)
        ),
        suggestions=tuple(islice(some, draw(st.integers(0, 5)))),
        exercise=whole.exercise
        and replace(whole.exercise, who=next(some), reason=next(some), findings=tuple(islice(some, 3))),
    )  # fmt: skip


@st.composite
def tellings(draw) -> Telling:
    return Telling(
        occasion=draw(st.sampled_from(Occasion)),
        document=draw(documents()),
        rung=draw(st.sampled_from(Rung)),
        late=draw(texts),
        resent=draw(st.booleans()),
    )


# A sample as it was written down, on each rung: what the golden files hold.
WRITTEN = [
    *((name, Rung.RICH) for name in ALL),
    *((name, rung) for name in ("resolved", "hostile") for rung in (Rung.SAFE, Rung.LINE)),
]


def file_of(name: str, form: str, rung: Rung) -> str:
    return f"messages/{name}.{form}{'' if rung is Rung.RICH else '.' + rung.name.lower()}.json"
