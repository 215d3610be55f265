"""What no code of ours may do, read from the syntax trees and templates; each exception stands here with its reason."""

import ast
import re
from pathlib import Path

import pytest

import failover

ROOT = Path(__file__).parents[1]
SOURCE = Path(failover.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
TEMPLATES = sorted(SOURCE.rglob("*.html"))

# Code from data, files with names that others know, and programs by way of a shell.
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp", "os.tempnam", "yaml.load",
    "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "ssl._create_unverified_context", "ssl.wrap_socket",
}  # fmt: skip
FORBIDDEN_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "xml", "telnetlib", "pty", "commands"}

STARTS_PROGRAMS = {
    "cli/demo.py": "the demo starts two small sites and the proxy itself, with words of our own",
}
TRUSTS_WITHOUT_PROOF = {
    "cli/ask.py": "this machine's own port, under a name that its certificate has not; nothing secret is sent",
    "controller/describe.py": "looks at a certificate that was refused, for the report; nothing is sent",
    "doctor/machine.py": "this machine's own port, asked whether a failover answers there; nothing secret is sent",
    "settings/certificate.py": "a handshake in memory with ourselves, to read our own certificate",
}
MARKUP_AS_IT_IS = {
    ("admin/templates/dashboard.html", "parts[name]"): "rendered a moment before, with escaping",
    ("reports/templates/report.html", "chart"): "drawn by us; its words are escaped there",
}


def place(module):
    return module.relative_to(SOURCE).as_posix()


def nodes(module):
    return ast.walk(ast.parse(module.read_text(encoding="utf-8")))


def calls(module):
    return ((ast.unparse(node.func), node) for node in nodes(module) if isinstance(node, ast.Call))


def modules_named(module):
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def keyword(call, name):
    return next((one.value for one in call.keywords if one.arg == name), None)


def is_off(value):
    return isinstance(value, ast.Constant) and value.value is False


def trusts_without_proof(module):
    """Whether TLS is made here that verifies less than everything."""
    for node in nodes(module):
        if isinstance(node, ast.Attribute) and node.attr in {"CERT_NONE", "CERT_OPTIONAL"}:
            return True
        if isinstance(node, ast.Assign) and "check_hostname" in ast.unparse(node.targets[0]):
            return True
        if isinstance(node, ast.Call) and any(is_off(keyword(node, name)) for name in ("ssl", "verify", "verify_ssl")):
            return True
    return False


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_nothing_makes_code_of_data_or_asks_a_shell(module):
    for name, call in calls(module):
        assert name not in FORBIDDEN_CALLS, f"{place(module)}:{call.lineno}: {name}"
        shell = keyword(call, "shell")
        assert shell is None or is_off(shell), f"{place(module)}:{call.lineno}: by a shell"
    assert not FORBIDDEN_MODULES & {name.split(".")[0] for name in modules_named(module)}, place(module)


def test_programs_are_started_where_that_is_written_down():
    starting = {place(module) for module in MODULES if "subprocess" in set(modules_named(module))}
    starting |= {
        place(module)
        for module in MODULES
        for name, _ in calls(module)
        if re.search(r"^os\.(exec|spawn|posix_spawn)|create_subprocess", name)
    }
    assert starting == set(STARTS_PROGRAMS)


def test_tls_verifies_everything_but_where_it_is_written_down():
    assert {place(module) for module in MODULES if trusts_without_proof(module)} == set(TRUSTS_WITHOUT_PROOF)


def test_every_template_escapes():
    made = [(place(module), call) for module in MODULES for name, call in calls(module) if name.endswith("Environment")]
    assert len(made) == 2
    for where, call in made:
        escaping = keyword(call, "autoescape")
        assert isinstance(escaping, ast.Constant), where
        assert escaping.value is True, where


def test_markup_is_taken_as_it_is_only_where_that_is_written_down():
    found = set()
    for template in TEMPLATES:
        text = template.read_text(encoding="utf-8")
        assert "autoescape" not in text, f"{place(template)} turns escaping off"
        found |= {(place(template), name) for name in re.findall(r"([\w.\[\]]+)\s*\|\s*safe\b", text)}
        assert len(re.findall(r"\bsafe\b", text)) == len(re.findall(r"\|\s*safe\b", text)), place(template)
    assert found == set(MARKUP_AS_IT_IS)
    assert not [place(module) for module in MODULES if "Markup(" in module.read_text(encoding="utf-8")]


def test_the_tests_that_the_threat_model_names_are_there():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", text)) - {"tests/test_house.py"}
    assert len(named) > 10
    there = {path.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert {one if "/" in one else f"integration/{one}" for one in named} <= there


# What each rule is for, as it would be written; the rules find all of it.
BAD = """
import subprocess, pickle
eval("1"); os.system("x"); yaml.load(x); run(shell=True)
context.check_hostname = False
"""


def test_the_rules_find_what_they_are_for(tmp_path):
    module = tmp_path / "bad.py"
    module.write_text(BAD)
    named = {name for name, _ in calls(module)}
    assert {"eval", "os.system", "yaml.load"} <= named & FORBIDDEN_CALLS
    assert set(modules_named(module)) == {"subprocess", "pickle"}
    assert trusts_without_proof(module)
    assert any(keyword(call, "shell") is not None for _, call in calls(module))
