"""The reference page of all commands: `python -m failover.cli.reference > docs/reference/commands.md`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from failover.cli.main import root
from failover.settings.rows import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Commands

Made from the commands themselves by `python -m failover.cli.reference > docs/reference/commands.md`; a test holds it up
to date.

Without a command, `failover` runs the proxy. Every command has `--help`. Commands about the running proxy find it by
themselves, through a socket that only the same user (or root) may open; where several run, `--listen PORT` says which.

All of them end with exit code 0 when it went well, 1 when it did not, and 2 when the words or the settings have
mistakes. [Answers, errors, exit codes](answers.md#exit-codes) has the rest.
"""
_RUN = "run"
_SETTINGS = frozenset(SETTINGS)


def page() -> str:
    """The whole page as Markdown."""
    lines = [_HEAD]
    for name, command in commands():
        lines += _section(name, command)
    return "\n".join(lines)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that a person may call, with the words that call it; hidden ones are for the program itself."""
    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        elif command is not None and not command.hidden:
            yield name, command


def _section(name: str, command: click.Command) -> Iterator[str]:
    options = [one for one in command.params if isinstance(one, click.Option)]
    takes_settings = {one.name for one in options} >= _SETTINGS
    own = [one for one in options if not (takes_settings and one.name in _SETTINGS)]
    words = ["failover", name, *(one.make_metavar(click.Context(command)) for one in command.params
                                 if isinstance(one, click.Argument))]  # fmt: skip
    yield f"## {name}\n"
    yield f"`{' '.join(words)}{' [FLAGS]' if options else ''}`\n"
    yield f"{command.help}\n"
    if own:
        yield "| flag | default | meaning |"
        yield "| --- | --- | --- |"
        yield from (f"| {_flag(one)} | {_default(one)} | {one.help or ''} |" for one in own)
        yield ""
    if takes_settings:
        yield f"{'And' if own else 'It takes'} [every setting](settings.md) as a flag.\n"


def _flag(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar}".replace("|", "\\|")
    return ", ".join(f"`{name}{value}`" for name in [*option.opts, *option.secondary_opts])


def _default(option: click.Option) -> str:
    return f"`{option.default}`" if option.show_default else ""


if __name__ == "__main__":
    sys.stdout.write(page())
