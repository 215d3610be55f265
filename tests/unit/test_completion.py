"""What a shell completes: the scripts are read by the real shells, where they are there."""

import shutil
import subprocess

import pytest

from failover.cli.main import main


@pytest.fixture
def script(capsys):
    def make(shell):
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    return make


def run(shell, *words, script):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, *words], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["--prim"], {"--primary"}),
        (["inc"], {"incidents"}),
        (["incidents", "e"], {"export"}),
        (["incidents", "list", "--j"], {"--json"}),
        (["--primary", "http://app.test", "--backup-k"], {"--backup-kind"}),
        (["switch", "b"], {"backup"}),
        (["completion", ""], {"bash", "fish", "zsh", "-h", "--help"}),
        (["demo-s"], set()),
        (["incidents", "list", "x"], set()),
    ],
)
def test_bash_completes(script, typed, found):
    ask = 'eval "$(cat)"; COMP_WORDS=(failover "$@"); COMP_CWORD=$#; _failover; echo "${COMPREPLY[*]}"'
    assert set(run("bash", "-c", ask, "bash", *typed, script=script("bash"))) == found


@pytest.mark.parametrize(("typed", "found"), [("--prim", "--primary"), ("incidents e", "export"), ("swi", "switch")])
def test_fish_completes(script, typed, found):
    ask = f"source; complete -C 'failover {typed}'"
    assert run("fish", "--no-config", "-c", ask, script=script("fish")) == [found]


def test_zsh_takes_it(script):
    ask = 'autoload -U compinit; compinit -u -D; eval "$(cat)"; print $_comps[failover]'
    assert run("zsh", "-fc", ask, script=script("zsh")) == ["_failover"]


def test_another_shell_is_told_what_there_is(capsys):
    assert main(["completion", "tcsh"]) != 0
    assert "'bash', 'fish', 'zsh'" in capsys.readouterr().err
