"""Golden files: what a renderer makes is compared with what it made when somebody last looked at it.

`FAILOVER_GOLDEN=renew pytest …` writes them anew; the difference is then looked at before it is committed.
"""

import json
import os
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "golden"
RENEW = os.environ.get("FAILOVER_GOLDEN") == "renew"


def golden(name: str, made: bytes) -> None:
    """Hold `made` against `tests/golden/<name>`."""
    file = GOLDEN / name
    if RENEW:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made)
    assert file.is_file(), f"there is no {name} yet: renew the golden files, and look at it"
    assert made.decode() == file.read_bytes().decode()


def golden_json(name: str, made: object) -> None:
    """The same for what becomes JSON."""
    golden(name, (json.dumps(made, indent=2, ensure_ascii=False) + "\n").encode())
