"""`failover completion SHELL`: a script that makes a shell complete our commands and flags.

The script holds all the words, so that a press of the key starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from failover.cli.words import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

_BASH = """\
# Into ~/.bashrc:  eval "$(failover completion bash)"
_failover() {{
    local words before="${{COMP_WORDS[*]:1:COMP_CWORD-1}} "
    case $before in
{cases}
    esac
    # shellcheck disable=SC2207 # no word has a space, and the bash 3.2 of macOS has no mapfile
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _failover failover
"""
_ZSH = """\
# Into ~/.zshrc, behind compinit:  eval "$(failover completion zsh)"
_failover() {{
    local before="${{(j: :)words[2,CURRENT-1]}} " found
    case $before in
{cases}
    esac
    compadd -- ${{=found}} || _files
}}
compdef _failover failover
"""
_FISH = """\
# Into a file:  failover completion fish >~/.config/fish/completions/failover.fish
function __failover_words
    switch (string join " " -- (commandline -opc)[2..-1])" "
{cases}
    end
end
complete -c failover -a "(__failover_words)"
"""
_SHELLS = {
    "bash": (_BASH, "        '{path}'*) words='{words}' ;;"),
    "fish": (_FISH, "        case '{path}*'\n            string split ' ' -- '{words}'"),
    "zsh": (_ZSH, "        '{path}'*) found='{words}' ;;"),
}


def _completion(shell: str) -> int:
    from failover.cli.main import root  # noqa: PLC0415 - it imports us
    from failover.cli.run import run  # noqa: PLC0415 - the settings cost 100 ms

    script, case = _SHELLS[shell]
    rows = dict(_rows(root))
    rows[""] += dict(_rows(run))[""]  # no command is `run`
    cases = [case.format(path=f"{path} " if path else "", words=" ".join(words)) for path, words in rows.items()]
    print(script.format(cases="\n".join(cases)), end="")
    return 0


def _rows(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Each command as it is typed, the longest first, and the words that may come behind it."""
    context = click.Context(command)
    words: list[str] = []
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            if one is not None and not one.hidden:
                words.append(name)
                yield from _rows(one, (*path, name))
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            words += [*parameter.opts, *parameter.secondary_opts]
        elif isinstance(parameter.type, click.Choice):
            words += map(str, parameter.type.choices)
        elif parameter.metavar and "|" in parameter.metavar:
            words += parameter.metavar.split("|")
    yield " ".join(path), words


completion = Command(
    "completion",
    callback=_completion,
    params=[click.Argument(["shell"], type=click.Choice(list(_SHELLS)))],
    help="Print what makes a shell complete commands and flags; its first line says where to put it.",
)
