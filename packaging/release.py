"""What a release consists of, out of a folder that has its wheel: `release.py FOLDER ADDRESS`.

Adds to the folder: constraints.txt, install.sh with the release's address and checksums, and SHA256SUMS of everything.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def main(folder: Path, address: str) -> None:
    """Raises SystemExit with a sentence where the folder has not exactly one wheel."""
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(f"release: {folder} has {len(wheels)} wheels instead of one")
    shutil.copy(_ROOT / "constraints.txt", folder)
    filled = {
        "RELEASE": address.rstrip("/"),
        "WHEEL": wheels[0].name,
        "WHEEL_SHA256": _sum(wheels[0]),
        "CONSTRAINTS_SHA256": _sum(folder / "constraints.txt"),
    }
    lines = (_ROOT / "install.sh").read_text(encoding="utf-8").splitlines()
    for name, value in filled.items():
        lines[lines.index(f"{name}=")] = f"{name}='{value}'"
    installer = folder / "install.sh"
    installer.write_text("\n".join(lines) + "\n", encoding="utf-8")
    installer.chmod(0o755)
    files = sorted(one for one in folder.iterdir() if one.is_file() and one.name != "SHA256SUMS")
    sums = "".join(f"{_sum(one)}  {one.name}\n" for one in files)
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
