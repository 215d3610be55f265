"""The import rule of ARCHITECTURE.md, and the size of things, read from the syntax trees."""

import ast
import sys
from pathlib import Path

import pytest

import failover

SOURCE = Path(failover.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

# Pure parts of the standard library: no clock, no socket, no log, no random, no file, no process. Of datetime the
# types alone: see the test of its clock.
PURE = {
    "__future__", "abc", "base64", "bisect", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib",
    "heapq", "ipaddress", "itertools", "json", "math", "operator", "re", "statistics", "string", "types", "typing",
    "urllib",
}  # fmt: skip

# What every room may know, beside `core` and the doors that are named `base`.
DOORS = {"settings", "errors", "targets", "channel", "launch", "faults", "dial", "observe", "reports"}

# Where the outside libraries live. A room that is not named here has none but those of its doors.
LIBRARIES = {
    "admin": {"aiohttp", "jinja2", "msgspec", "prometheus_client"},
    "app": set(),
    "channel": {"msgspec"},
    "cli": {"aiohttp", "click", "msgspec", "yaml"},
    "controller": {"httptools", "msgspec", "uvloop"},
    "core": set(),
    "doctor": {"aiohttp", "yarl"},
    "incidents": {"msgspec"},
    "notify": {"aiohttp", "apprise", "msgspec", "yarl"},
    "observe": {"structlog"},
    "proxy": {"httptools", "msgspec", "uvloop"},
    "reports": {"jinja2", "msgspec", "resvg_py"},
    "settings": {"pydantic", "pydantic_core", "yaml"},
    "supervisor": set(),
    "targets": set(),
}


def name_of(module):
    return ".".join(("failover", *module.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def room_of(name):
    """`failover.proxy.wire` lives in `proxy`; `failover.app` is a room of its own."""
    return name.split(".")[1] if "." in name else ""


def imports(module):
    """Every module that this one names, with the names taken from it where those may be modules as well."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:
                inner = SOURCE.parent / Path(*node.module.split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def allowed(room, imported):
    """Whether code of `room` may know the module `imported` of ours."""
    theirs = room_of(imported)
    if theirs in {"", room, "core"} or room in {"app", "cli", "__main__"}:
        return theirs != "app" or room == "cli"
    if room == "core":
        return False
    return theirs in DOORS or imported.endswith(".base")


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_respect_the_rooms(module):
    room = room_of(name_of(module))
    for imported in imports(module):
        if imported.split(".")[0] == "failover":
            assert allowed(room, imported), f"{name_of(module)} may not import {imported}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_libraries_stay_in_their_rooms(module):
    room = room_of(name_of(module))
    for imported in imports(module):
        top = imported.split(".")[0]
        if top == "failover":
            continue
        if top not in sys.stdlib_module_names:
            assert top in LIBRARIES.get(room, set()), f"{name_of(module)} may not import {top}"
        elif room == "core":
            assert top in PURE, f"{name_of(module)} imports {imported}, which is not pure"


@pytest.mark.parametrize("module", [one for one in MODULES if one.parent.name == "core"], ids=name_of)
def test_the_core_has_no_clock(module):
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        clock = isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
        assert not clock or ast.unparse(node).split(".")[0] not in {"datetime", "date"}, f"{module}:{node.lineno}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_modules_are_short(module):
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{name_of(module)} has {lines} lines"


@pytest.mark.parametrize("module", [one for one in MODULES if one.name == "__init__.py"], ids=name_of)
def test_packages_hold_no_code(module):
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_version = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
        assert is_docstring or (is_version and module.parent == SOURCE), f"{module}:{node.lineno}"


def test_a_room_has_no_empty_folder():
    for folder in (one for one in SOURCE.rglob("*") if one.is_dir() and one.name != "__pycache__"):
        files = [one.name for one in folder.iterdir() if one.is_file()]
        assert set(files) - {"__init__.py"}, f"{folder} is empty"
