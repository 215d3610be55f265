"""Makes the environment that ./failover and ./verify.sh run in: `environment.py FOLDER run|test STAMP`.

Uses the standard library alone. Says on one line what it does, and pip's own words only where pip fails.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FITS = "import sys; sys.exit(sys.version_info < (3, 11))"


class Failed(Exception):
    """Why there is no environment, in a sentence."""


def main() -> int:
    root, purpose, stamp = Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    try:
        with _alone(root):
            if not _is_made(root, purpose, stamp):
                _make(root, purpose, stamp)
    except Failed as failed:
        print(f"failover: {failed}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"failover: cannot make the environment in {root}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("failover: interrupted; the next start makes the environment anew", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One at a time: a second first start waits here, then finds all done. The kernel frees the lock of the dead."""
    folder = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("failover: another start is making the environment; waiting for it", file=sys.stderr)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _is_made(root: Path, purpose: str, stamp: str) -> bool:
    try:
        return _stamp(root, purpose).read_text(encoding="utf-8").strip() == stamp and _python(root).exists()
    except FileNotFoundError:
        return False


def _stamp(root: Path, purpose: str) -> Path:
    return root / ".venv" / f"stamp-{purpose}"


def _python(root: Path) -> Path:
    return root / ".venv" / "bin" / "python"


def _make(root: Path, purpose: str, stamp: str) -> None:
    what = "what Failover needs" if purpose == "run" else "what Failover and its tests need"
    print(f"failover: installing {what} into {root / '.venv'}; this happens once", file=sys.stderr)
    for each in ("run", "test"):
        _stamp(root, each).unlink(missing_ok=True)
    if not _fits(root):
        _make_venv(root)
    project = f"{root}[charts]" if purpose == "run" else f"{root}[test]"
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    command = [_python(root), "-m", "pip", "install", *options, "-c", root / "constraints.txt", "-e", project]
    # A user's PIP_USER would send everything elsewhere, past the environment.
    done = subprocess.run(command, env={**os.environ, "PIP_USER": "0"}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"the installation failed; start again when this is mended, pip said:\n{done.stderr.strip()}")
    for each in ("run",) if purpose == "run" else ("run", "test"):
        half = _stamp(root, f"{each}.new")
        half.write_text(f"{stamp}\n", encoding="utf-8")
        half.replace(_stamp(root, each))


def _fits(root: Path) -> bool:
    """Whether what is there is a working environment of a Python that we can use."""
    try:
        return (
            subprocess.run([_python(root), "-c", f"import pip; {_FITS}"], capture_output=True, check=False).returncode
            == 0
        )
    except OSError:
        return False


def _make_venv(root: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    needed = f"venv is missing from this Python; install it: apt-get install {version}-venv (or python3-venv)"
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian takes it out of Python, into python3-venv
        import venv  # noqa: F401, PLC0415
    except ImportError:
        raise Failed(needed) from None
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", root / ".venv"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise Failed(needed if "ensurepip" in said else f"cannot make {root / '.venv'}: {said}")


if __name__ == "__main__":
    sys.exit(main())
