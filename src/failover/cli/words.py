"""The words of a command line: every one that means nothing is told, not just the first.

click stops at the first word it does not know. Here those words are taken out and told before click reads the rest.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import click

from failover.errors import Mistake, SettingsError
from failover.settings.secret import mask_text
from failover.settings.types import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MISTAKES = "failover.mistakes"


class Command(click.Command):
    """A command that tells all mistakes in its words at once.

    A command that reads settings tells them together with those of the other sources: it takes them with `mistakes`.
    """

    tells_later = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        kept, wrong = sift(args, _flags_of(self, ctx), self._most_words(ctx))
        ctx.meta[_MISTAKES] = wrong
        rest = super().parse_args(ctx, kept)  # asking for help goes before all mistakes
        if wrong and not self.tells_later:
            raise SettingsError(wrong)
        return rest

    def _most_words(self, ctx: click.Context) -> int:
        """How many words may stand there without a flag."""
        return sum(1 for one in self.get_params(ctx) if isinstance(one, click.Argument))


class SettingsCommand(Command):
    """A command that reads settings."""

    tells_later = True


class Group(click.Group):
    """A command that has commands; without one of them it prints its help."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if (names := self.list_commands(ctx)) and args[0] in names:
            return super().resolve_command(ctx, args)
        word = mask_text(args[0])
        hint = f"; did you mean --primary {word}?" if "://" in word else did_you_mean(word, names)
        raise SettingsError([Mistake(quoted(word), f"is not a command{hint or f'; see {ctx.command_path} --help'}")])


def print_help() -> None:
    """For a group that was called without one of its commands."""
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        print(context.get_help())


def mistakes() -> list[Mistake]:
    """What was wrong in the words of the running command."""
    found: list[Mistake] = click.get_current_context().meta.get(_MISTAKES, [])
    return found


def sift(
    args: Sequence[str], flags: Mapping[str, click.Option], most_words: int = 0
) -> tuple[list[str], list[Mistake]]:
    """The words that click can read, each flag with its value in one word, and the mistakes in the others.

    So many words may stand without a flag; after `--` all do, whatever they begin with.
    """
    kept: list[str] = []
    wrong: list[Mistake] = []
    plain: list[str] = []
    words, seen = deque(args), set()
    while words:
        word = words.popleft()
        name, equals, value = word.partition("=")
        flag = flags.get(name)
        if most_words and (word == "--" or not word.startswith("-")):
            free = list(words) if word == "--" else [word]
            words = deque() if word == "--" else words
            plain += free[:most_words]
            wrong += [_unknown(one, one, flags) for one in free[most_words:]]
            most_words -= len(free[:most_words])
        elif flag is None:
            wrong.append(_unknown(word, name, flags))
            if name.startswith("-") and not equals and words and not words[0].startswith("-"):
                words.popleft()  # most likely the value of the flag that nobody knows
        elif flag.is_flag:
            if equals:
                off = "".join(f" or {one}" for one in flag.secondary_opts)
                wrong.append(Mistake(name, f"takes no value; write {flag.opts[0]}{off}", flag.name or ""))
            else:
                kept.append(word)
        elif not equals and (not words or words[0].startswith("--")):
            wrong.append(Mistake(name, f"needs a value: {name} {flag.metavar}", flag.name or ""))
        else:
            kept.append(f"{name}={value if equals else words.popleft()}")
            if name in seen and not flag.multiple:
                wrong.append(Mistake(name, "is given twice; it takes one value", flag.name or ""))
            seen.add(name)
    return [*kept, "--", *plain] if plain else kept, wrong


def _unknown(word: str, name: str, flags: Mapping[str, click.Option]) -> Mistake:
    if not name.startswith("-"):
        told = "is not expected here; a command is the first word, and a value follows its flag"
        return Mistake(quoted(mask_text(word)), told)
    dashed = f"--{name.lstrip('-').replace('_', '-')}"
    meant = f"; did you mean {dashed}?" if dashed in flags else did_you_mean(dashed, flags)
    key = flags[dashed].name if dashed in flags else None
    return Mistake(name, f"is not a flag{meant}", key or _key_in(meant, flags))


def _key_in(meant: str, flags: Mapping[str, click.Option]) -> str:
    """The setting that a hint names: it is not told as missing as well."""
    return next((flag.name or "" for name, flag in flags.items() if meant.endswith(f" {name}?")), "")


def _flags_of(command: click.Command, ctx: click.Context) -> dict[str, click.Option]:
    options = [one for one in command.get_params(ctx) if isinstance(one, click.Option)]
    return {name: one for one in options for name in [*one.opts, *one.secondary_opts]}
