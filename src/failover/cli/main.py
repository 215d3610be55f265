"""`failover`: no command, or `run`, runs the proxy; other first words are commands.

A command is imported when it is called, so that none costs another one time.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from failover import __version__
from failover.cli.words import Group
from failover.errors import FailoverError

if TYPE_CHECKING:
    from collections.abc import Sequence

# name -> where it is, and what it does; nothing for what is no command of a user's
_COMMANDS = {
    "run": ("failover.cli.run:run", "Run the proxy; the same as no command."),
    "demo": ("failover.cli.demo:command", "See a failover happen: two small sites, a crash, the return."),
    "demo-site": ("failover.cli.demo_site:demo_site", ""),
    "check": (
        "failover.cli.check:check",
        "Look at both sides before trouble does: DNS, TLS, alike, disk, webhooks; exit code for CI.",
    ),
    "state": ("failover.cli.state:state", "What the running proxy is doing."),
    "switch": ("failover.cli.steer:switch", "Say who serves: backup, primary, or auto."),
    "hold": ("failover.cli.steer:hold", "Switch nothing for a while, whatever happens."),
    "drill": ("failover.cli.drill:drill", "Try what happens if the primary fails: shadow, a share, or full."),
    "incidents": ("failover.cli.incidents:incidents", "What happened: list, show, export, note, resend."),
    "notify": ("failover.cli.notify:notify", "Try whether incidents arrive where they are to be told."),
    "healthcheck": ("failover.cli.healthcheck:healthcheck", "Exit code 0 if the running proxy answers, 1 if not."),
    "config": ("failover.cli.config:config", "Show the settings and their sources, or the schema of the file."),
    "completion": ("failover.cli.completion:completion", "Print what makes bash, zsh or fish complete all this."),
    "version": ("failover.cli.version:version", "Print the version."),
}
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
_HELP = {"-h", "--help", "help"}


class Commands(Group):
    """The table above as click's commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        from failover.cli.flags import write_flags  # noqa: PLC0415 - the settings cost 100 ms

        formatter.write_usage("failover", "--primary URL --backup URL [FLAGS]")
        formatter.write_usage("failover", "COMMAND [FLAGS]", prefix="       ")
        formatter.write_paragraph()
        formatter.write_text("A reverse proxy that makes the downtime of your app invisible.")
        write_flags(formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, does) for name, (_, does) in _COMMANDS.items() if does])
        formatter.write_paragraph()
        formatter.write_text(
            "Every flag is also a variable (--fail-threshold: FAILOVER_FAIL_THRESHOLD) and a key of the YAML file "
            "(fail_threshold). A flag wins over a variable, a variable over the file."
        )


root = Commands("failover", context_settings=_CONTEXT)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the words ask for, and return the exit code. What a user did wrong is a sentence on stderr."""
    _keep_standard_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows few letters is no reason to fail
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except FailoverError as error:
        for line in error.lines:
            print(f"failover: {line}", file=sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        print(f"failover: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130


def _keep_standard_descriptors() -> None:
    """Whoever started us with one of them closed must not have a socket take its place, and the log go into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def _main(words: list[str]) -> int:
    if words and words[0] in _HELP:
        words = ["--help"]
    elif words and words[0] in {"-V", "--version"}:
        print(f"failover {__version__}")
        return 0
    elif not words or words[0].startswith("-"):
        words = ["run", *words]
    if words[0] == "run" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until the supervisor hears signals, Ctrl-C ends us as SIGTERM does. An exception would be lost wherever Python
        # has nobody to give it to: in a callback of a lock, of a fork, of a weak reference.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    code: Any = root.main(args=words, prog_name="failover", standalone_mode=False)
    return code if isinstance(code, int) else 0
