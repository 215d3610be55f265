"""Starts the fault lab, `chaos/command.py`, from any folder."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # the packages of tests/, not the modules of this folder
    sys.exit(importlib.import_module("chaos.command").main())
