"""The pages, held against the code: kinds of blocks, flags and variables, references, messages that they quote."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

import failover
from failover.admin.openapi import described
from failover.cli import reference
from failover.cli.main import root
from failover.core.model import ErrorType
from failover.core.words import CHECK, SENTENCE
from failover.settings.rows import SETTINGS
from failover.settings.sources import load
from support.calls import wrong_flags, wrong_words
from support.handbook import PAGES, ROOT, Block, blocks

SOURCE = Path(failover.__file__).parent
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [block for page in PAGES for block in blocks(page)]
KINDS = {"bash", "sh", "text", "yaml", "json", "nginx", "caddyfile", "mermaid"}


def of_kind(*kinds: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind in kinds]


def name_of(block: Block) -> str:
    return block.where


# -- blocks


@pytest.mark.parametrize("block", BLOCKS, ids=name_of)
def test_a_block_is_of_a_known_kind(block: Block) -> None:
    assert block.kind in KINDS, f"{block.kind!r}: CONTRIBUTING.md says which there are"


@pytest.mark.parametrize("block", of_kind("bash", "sh"), ids=name_of)
def test_commands_have_only_what_there_is(block: Block) -> None:
    assert wrong_words(block.text) == []


@pytest.mark.parametrize("block", of_kind("bash"), ids=name_of)
def test_nothing_stands_after_a_proxy_that_stays(block: Block) -> None:
    *before, _ = re.sub(r"\\\n", " ", block.text).rstrip().split("\n")
    assert [line for line in before if re.match(r"(?:\w+=\S+ )*(?:\./)?failover (?:run\b|-)", line)] == []


def test_what_there_is_not_is_found() -> None:
    assert wrong_words("failover --primry x") == ["failover run has no --primry"]
    assert wrong_words("docker run -e FAILOVER_PRIMRY=x image") == ["there is no FAILOVER_PRIMRY"]
    assert wrong_words("./failover swich backup") == ["there is no failover swich"]
    assert wrong_words("failover state \\\n  --josn | jq .") == ["failover state has no --josn"]
    assert wrong_words("sudo /opt/failover/bin/failover incidents list --nil") == [
        "failover incidents list has no --nil"
    ]
    assert wrong_words("docker run --name failover --cap-drop ALL failover --nil=1") == ["failover run has no --nil"]
    assert wrong_words("docker exec failover failover swich") == ["there is no failover swich"]
    assert wrong_words("./install.sh --uninstal; deploy/quick-deploy.sh --yes --dry") == [
        "install.sh has no --uninstal",
        "quick-deploy.sh has no --dry",
    ]
    assert wrong_flags("`--primry`, `a --nothing=1`, `docker run --rm`, `failover state --josn`") == [
        "--primry",
        "--nothing",
        "failover state has no --josn",
    ]


@pytest.mark.parametrize("block", of_kind("yaml"), ids=name_of)
def test_examples_of_yaml_can_be_read(block: Block, tmp_path: Path) -> None:
    read = yaml.safe_load(block.text)
    if isinstance(read, dict) and read.keys() & SETTINGS.keys():
        file = tmp_path / "config.yaml"
        file.write_text(block.text)
        load({"config": os.fspath(file)}, {})


@pytest.mark.parametrize("block", of_kind("json"), ids=name_of)
def test_examples_of_json_can_be_read(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx here")
@pytest.mark.parametrize("block", of_kind("nginx"), ids=name_of)
def test_nginx_takes_its_examples(block: Block, tmp_path: Path) -> None:
    text = re.sub(r"^ *ssl_certificate.*\n| ssl\b", "", block.text, flags=re.MULTILINE)  # there is none here
    text = re.sub(r"listen (\d)", r"listen 1\1", text)
    head = f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off;"
    temp = "".join(
        f"{what}_temp_path {tmp_path}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = tmp_path / "nginx.conf"
    file.write_text(f"{head} {temp}\n{text}\n}}\n")
    done = subprocess.run(["nginx", "-t", "-p", tmp_path, "-c", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- flags and settings in the text

ABOUT_NOW = [page for page in PAGES if page.relative_to(ROOT).parts[0] in {"README.md", "deploy", "docs"}
             and page.parent.name != "decisions"]  # fmt: skip


@pytest.mark.parametrize("page", ABOUT_NOW, ids=lambda page: page.name)
def test_flags_in_the_text_exist(page: Path) -> None:
    assert wrong_flags(TEXTS[page]) == []


# -- links


def wrong_links(page: Path, text: str) -> list[str]:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not there.exists():
            wrong.append(link)
        elif anchor:
            titles = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            wrong += [link] if anchor not in anchors else []
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert wrong_links(page, TEXTS[page]) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    links = "[a](docs/faq.md) [b](LICENCE) [c](docs/faq.md#nowhere) [d](https://myapp.com/)"
    assert wrong_links(ROOT / "README.md", links) == ["LICENCE", "docs/faq.md#nowhere"]


# -- references that are made, or held


def test_the_page_of_commands_is_up_to_date() -> None:
    made = reference.page()
    assert (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8") == made, "make docs"


def test_a_command_that_is_for_the_program_itself_has_no_place_there() -> None:
    every = {name: root.get_command(click.Context(root), name) for name in root.list_commands(click.Context(root))}
    hidden = [name for name, command in every.items() if command is not None and command.hidden]
    assert "demo-site" in hidden
    assert [name for name in hidden if f"## {name}" in reference.page()] == []


def test_every_error_type_has_its_row() -> None:
    page = TEXTS[ROOT / "docs/reference/answers.md"]
    rows = [f"| `{error}` | {SENTENCE[error]} | {CHECK[error]} |" for error in ErrorType]
    assert [line for line in page.splitlines() if line in rows] == rows, "\n".join(rows)


@cache
def trees() -> dict[Path, ast.Module]:
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in SOURCE.rglob("*.py")}


def as_text(node: ast.expr | None, names: dict[str, str]) -> str | None:
    """A text as a page quotes it: `…` for what differs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)
    return None


def own_answers() -> set[tuple[int, str]]:
    """Status and text of each answer of our own; of what is wrong with a head, the status alone."""
    found = {(400, "")}
    for file in (SOURCE / "proxy").glob("*.py"):
        tree = trees()[file]
        names = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        }  # fmt: skip
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and len(node.args) >= 2 and isinstance(node.args[0], ast.Constant)):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            status, text = node.args[0].value, as_text(node.args[1], names)
            if called in {"_refuse", "error", "Refusal"} and text is not None:
                found.add((status, text))
            elif called == "Malformed" and status != 502:  # 502: what a target said, which the next one may say better
                found.add((status, ""))
    return found


def test_every_answer_of_our_own_has_its_row() -> None:
    table = TEXTS[ROOT / "docs/reference/answers.md"].partition("\n## Own paths")[0]
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", table, re.MULTILINE)
    told = {(int(status), text.strip("`")) for status, text in rows} | {(int(status), "") for status, _ in rows}
    assert own_answers() - told == set()
    assert {status for status, _ in told} == {status for status, _ in own_answers()}, "an answer that nobody gives"


def test_every_action_of_the_log_has_its_row() -> None:
    used = {
        node.value.value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "action"
        and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) and "." in node.value.value
    }  # fmt: skip
    pages = TEXTS[ROOT / "docs/verdicts.md"] + TEXTS[ROOT / "docs/reference/log.md"]
    assert used - set(re.findall(r"`([a-z]+\.[a-z_]+)`", pages)) == set()


def test_every_address_of_the_api_has_its_row() -> None:
    rows = re.findall(r"^\| `(?:GET|POST) .*?\|", TEXTS[ROOT / "docs/admin.md"], re.MULTILINE)
    told = {re.sub("ID|ALIAS", "{}", one) for row in rows for one in re.findall(r"(/[\w/.]+)", row)}
    assert {re.sub(r"\{\w+\}", "{}", path) for path in described()["paths"]} == told


# -- figures that stand on two pages

COSTS = {
    "small request": "small request, 64 connections, µs",
    "the same, every head another one": "small request, every head another one, µs",
    "on a new connection": "small request on a new connection, µs",
    "TLS from the client": "small request, TLS from the client, µs",
    "memory, idle": "memory, idle, MB",
}
FAULTS = {
    "`kill -9`": "`kill -9`, GET",
    "SIGSTOP: accepts, never answers": "SIGSTOP, GET",
    "503 to all": "503 to all, GET",
    "small answers cut": "small answers cut, GET",
    "flapping": "flapping, GET",
    "SIGSTOP, writes: failed / lost / done twice": "SIGSTOP, POST",
}


def tables(page: Path) -> list[dict[str, dict[str, str]]]:
    """Each table as row -> column -> cell; of a column the first word, of a cell what stands before a bracket."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", TEXTS[page], re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.splitlines()]
        if "HAProxy" in " ".join(head):
            names = ["", *(name.split()[0] for name in head[1:] if name)]
            found.append({row[0]: {name: cell.partition(" (")[0] for name, cell in zip(names, row, strict=True)}
                          for row in rows})  # fmt: skip
    return found


def row_named(name: str, found: list[dict[str, dict[str, str]]], column: str) -> dict[str, str]:
    return next(table[name] for table in found if name in table and column in table[name])


@pytest.mark.parametrize(("page", "rows"), [("performance.md", COSTS), ("chaos.md", FAULTS)])
def test_the_comparison_has_the_figures_that_were_measured(page: str, rows: dict[str, str]) -> None:
    measured, compared = tables(ROOT / "docs" / page), tables(ROOT / "docs/comparison.md")
    for short, long in rows.items():
        told, right = row_named(short, compared, "HAProxy"), row_named(long, measured, "HAProxy")
        for proxy in (told.keys() & right.keys()) - {""}:
            assert told[proxy].removesuffix(" µs").removesuffix(" MB") == right[proxy], f"{short}, {proxy}"
        assert {"HAProxy", "Failover", "nginx"} <= told.keys() & right.keys()


# -- what is quoted


@cache
def source_texts() -> str:
    """All texts of the program, and those of its pages and messages."""
    texts = []
    for tree in trees().values():
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        texts += [
            text for node in ast.walk(tree)
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inside and (text := as_text(node, {}))
        ]  # fmt: skip
    return "\n".join(texts)


def quotes(text: str) -> list[str]:
    return re.findall(r"^> `([^`]+)`", text, re.MULTILINE)


def unknown_parts(quote: str) -> list[str]:
    """The parts of a quoted message that the program never says; `…` stands for what differs."""
    parts = [part.strip(" :,;.()") for part in quote.split("…")]
    return [part for part in parts if len(part) > 3 and part not in source_texts()]


QUOTES = [(page.name, quote) for page in PAGES for quote in quotes(TEXTS[page])]


@pytest.mark.parametrize(("page", "quote"), QUOTES)
def test_what_is_quoted_is_what_the_program_says(page: str, quote: str) -> None:
    assert unknown_parts(quote) == []


def test_what_the_program_does_not_say_is_found() -> None:
    assert unknown_parts("cannot listen on …: another process sits there") == ["another process sits there"]
    assert unknown_parts("cannot listen on …: another process listens there") == []
