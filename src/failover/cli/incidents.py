"""`failover incidents`: what is kept of them, read from the store itself, whether the proxy runs or not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from failover.cli.archive import open_archive
from failover.cli.control import login
from failover.cli.words import Command, Group, print_help
from failover.core.document import Status
from failover.core.words import lasting
from failover.errors import StoreError
from failover.reports.base import FORMS
from failover.reports.words import number, plain

if TYPE_CHECKING:
    from failover.cli.archive import Archive
    from failover.core.document import Document

_LONGEST_NOTE = 2000
_LONGEST_TITLE = 60

_PLACE: list[click.Parameter] = [
    click.Option(["--state-dir"], metavar="FOLDER", help="Where the proxy keeps them; as it was given to the proxy."),
    click.Option(["--listen"], metavar="ADDRESS", help="Where the proxy listens: each port has a folder of its own."),
    click.Option(["--config"], metavar="FILE", help="The file that the proxy reads."),
]
_WHICH = click.Argument(["which"], metavar="[ID]", required=False, default="last")
_ONE = click.Argument(["which"], metavar="ID")
_AS_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")


def _find(archive: Archive, which: str) -> str:
    """The id that was meant: whole, its beginning, or `last`."""
    if which in ("", "last"):
        found = archive.names("")[:1]
        if not found:
            raise StoreError("there has been no incident yet")
        return found[0]
    found = archive.names(which)
    if which in found or len(found) == 1:
        return which if which in found else found[0]
    if not found:
        raise StoreError(f"there is no incident {plain(which, 80)}; see failover incidents list")
    raise StoreError(
        f"{plain(which, 80)} may be any of {len(found)}: {', '.join(found[:5])}{', …' if len(found) > 5 else ''}"
    )


def _load(archive: Archive, which: str) -> Document:
    name = _find(archive, which)
    told = archive.load(name)
    if told is None:
        raise StoreError(f"{name} was written by another version of failover and cannot be read")
    return told


# The commands


def _list(*, as_json: bool, last: int, **place: Any) -> None:
    with open_archive(place) as archive:
        found = archive.listed(last)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    if not found:
        print("There has been no incident yet.")
        return
    rows: list[tuple[str, ...]] = [("id", "began", "lasted", "severity", "hidden", "failed", "what")]
    rows += [_row(told) for told in found]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[6]]).rstrip())


def _row(told: Document) -> tuple[str, ...]:
    began = told.moments.first_bad.astimezone()
    open_still = "" if told.status is Status.RESOLVED else " so far"
    return (
        told.id,
        f"{began:%Y-%m-%d %H:%M:%S}",
        f"{lasting(told.durations.outage)}{open_still}",
        told.severity.value,
        number(told.counts.hidden),
        number(told.counts.failed + told.counts.refused),
        plain(told.title, _LONGEST_TITLE),
    )


def _show(*, which: str, as_json: bool, **place: Any) -> None:
    with open_archive(place) as archive:
        told = _load(archive, which)
    _write(told, "json" if as_json else "txt", "-")


def _export(*, which: str, form: str, output: str, **place: Any) -> None:
    with open_archive(place) as archive:
        told = _load(archive, which)
    if output.endswith("/") or Path(output).is_dir():
        folder = Path(output)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {(error.strerror or str(error)).lower()}") from None
        for name in FORMS:
            _write(told, name, str(folder / f"{told.id}{FORMS[name].suffix}"), may_lack=True)
    else:
        _write(told, form, output)


def _write(told: Document, form: str, output: str, *, may_lack: bool = False) -> None:
    written = FORMS[form].render(told)
    if written is None:
        if may_lack:
            return
        raise StoreError("a picture needs the extra: pip install 'failover[charts]'")
    if output == "-":
        if form == "png" and sys.stdout.isatty():
            raise StoreError("a picture is nothing for a terminal: name a file with --output")
        sys.stdout.buffer.write(written if form == "png" or written.endswith(b"\n") else written + b"\n")
        sys.stdout.buffer.flush()
        return
    try:
        Path(output).write_bytes(written)
    except OSError as error:
        raise StoreError(f"{output} cannot be written: {(error.strerror or str(error)).lower()}") from None
    print(output)


def _note(*, which: str, text: str, who: str | None, **place: Any) -> None:
    text = plain(text, _LONGEST_NOTE)
    if not text:
        raise StoreError("the note is empty")
    with open_archive(place, write=True) as archive:
        name = _find(archive, which)
        archive.note(name, plain(who or login(), 80), text)
    print(f"{name}: noted")


def _resend(*, which: str, **place: Any) -> None:
    with open_archive(place, write=True) as archive:
        name = _find(archive, which)
        told = archive.resend(name)
    print(f"{name}: will be sent again by the running proxy, or as soon as it runs: {', '.join(told)}")


incidents = Group(
    "incidents",
    callback=print_help,
    invoke_without_command=True,
    help="The incidents that the proxy has kept. An ID may be its beginning, or `last`.",
    commands=[
        Command(
            "list",
            callback=_list,
            params=[
                click.Option(
                    ["--last"],
                    metavar="NUMBER",
                    type=click.IntRange(1, 100_000),
                    default=20,
                    show_default=True,
                    help="How many, newest first.",
                ),
                _AS_JSON,
                *_PLACE,
            ],
            help="List them, newest first.",
        ),
        Command(
            "show", callback=_show, params=[_WHICH, _AS_JSON, *_PLACE], help="Print one, the last if none is named."
        ),
        Command(
            "export",
            callback=_export,
            params=[
                _WHICH,
                click.Option(
                    ["--format", "form"],
                    metavar="|".join(FORMS),
                    type=click.Choice(list(FORMS)),
                    default="md",
                    show_default=True,
                    help="What it is written as.",
                ),
                click.Option(
                    ["--output"],
                    metavar="FILE",
                    default="-",
                    show_default=True,
                    help="Where to; a folder gets it in every form.",
                ),
                *_PLACE,
            ],
            help="Write one down: as Markdown, a page, a picture, data.",
        ),
        Command(
            "note",
            callback=_note,
            params=[
                _ONE,
                click.Argument(["text"], metavar="TEXT"),
                click.Option(["--who"], metavar="NAME", help="Who says so; your login name if nobody is named."),
                *_PLACE,
            ],
            help="Add a line of yours to its timeline.",
        ),
        Command(
            "resend", callback=_resend, params=[_ONE, *_PLACE], help="Tell it to all channels once more, as it is now."
        ),
    ],
)
