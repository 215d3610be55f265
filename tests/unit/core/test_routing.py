import pytest

from failover.core.model import Kind, Routing, TargetState, Verdict
from failover.core.routing import ladder


def routing(verdict, *backups):
    """`R` a usable replica, `S` a usable static backup, lower case one known bad."""
    states = [TargetState("primary", verdict is not Verdict.BACKUP, (), Kind.REPLICA)]
    for number, letter in enumerate(backups):
        kind = Kind.REPLICA if letter in "Rr" else Kind.STATIC
        states.append(TargetState(f"{letter}{number}", letter.isupper(), (), kind))
    return Routing(verdict, 0.0, 0, 0, tuple(states))


@pytest.mark.parametrize(
    ("verdict", "backups", "safe", "writes"),
    [
        ("primary", "R", "primary R0", "primary R0"),
        ("suspect", "R", "primary R0", "primary R0"),
        ("primary", "S", "primary S0", "primary"),
        ("primary", "rSR", "primary S1 R2 r0", "primary R2 r0"),
        ("backup", "R", "R0 primary", "R0 primary"),
        ("backup", "rSR", "S1 R2 primary r0", "R2 primary"),
        ("backup", "S", "S0 primary", ""),
        ("backup", "Sr", "S0 primary r1", ""),
        ("backup", "s", "primary s0", "primary"),
        ("backup", "sr", "primary s0 r1", "primary r1"),
    ],
)
def test_the_ladder(verdict, backups, safe, writes):
    told = routing(Verdict(verdict), *backups)
    assert " ".join(ladder(told, safe=True)) == safe
    assert " ".join(ladder(told, safe=False)) == writes
