#!/bin/sh
# Installs the command `failover` for you alone: with uv where that is, else with pipx, else into an environment of its
# own. Needs no root, asks nothing, changes no start file of your shell, and says what it did and how to undo it.
# A second run brings it up to date. From a clone it installs the clone; the copy that comes with a release fetches the
# files of that release and holds them against the checksums that are written here.
set -eu

# All of it is one command: a download that breaks off runs nothing.
{

# Filled in by the release workflow: where the files are, and each of them with its SHA-256.
RELEASE=
WHEEL=
WHEEL_SHA256=
CONSTRAINTS_SHA256=

usage() {
    cat <<'END'
Usage: install.sh [--from FILE|URL [--sha256 SUM]] [--with uv|pipx|venv] [--uninstall]

  --from FILE|URL  a wheel of Failover; otherwise that of this release, or this clone
  --sha256 SUM     what the wheel's checksum must be; wanted for every URL
  --with WAY       do not choose: uv, pipx, or venv (in ~/.local/share/failover, with a link in ~/.local/bin)
  --uninstall      take away what an earlier run installed; incidents and settings stay
END
}

say() {
    printf 'install: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

wrong() {
    say "$*"
    usage >&2
    exit 2
}

from=
sum=
with=
uninstall=
while [ $# -gt 0 ]; do
    case $1 in
        --from | --sha256 | --with)
            [ $# -ge 2 ] || wrong "$1 needs a value"
            case $1 in
                --from) from=$2 ;;
                --sha256) sum=$2 ;;
                *) with=$2 ;;
            esac
            shift
            ;;
        --uninstall) uninstall=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) wrong "$1 is not expected here" ;;
    esac
    shift
done
case $with in
    '' | uv | pipx | venv) ;;
    *) wrong "--with $with: there are uv, pipx and venv" ;;
esac

case ${HOME:-} in
    /*) ;;
    *) fail 'HOME is not set to a folder, so there is no place of yours to install into' ;;
esac
# One that depends on where you are is passed over, as the XDG specification wants it.
case ${XDG_DATA_HOME:-} in
    /*) place=$XDG_DATA_HOME/failover ;;
    *) place=$HOME/.local/share/failover ;;
esac
bin=$HOME/.local/bin

is_ours() {
    case $(readlink "$bin/failover" 2>/dev/null || :) in
        "$place"/*) return 0 ;;
        *) return 1 ;;
    esac
}

# Other things may lie in that folder, the incidents even: environments go, which have a name that we gave.
remove_all_but() {
    for old in "$place"/[0-9]*-[0-9]*-[0-9]*; do
        if [ "$old" != "$1" ] && [ -f "$old/pyvenv.cfg" ]; then
            rm -rf "$old"
            removed=yes
        fi
    done
}

# A path as the shell reads it back, wherever something is to be typed.
typed() {
    case $1 in
        *[!A-Za-z0-9/._@%+,:-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
        *) printf '%s' "$1" ;;
    esac
}

has() {
    command -v "$1" >/dev/null 2>&1
}

python() {
    for one in python3.14 python3.13 python3.12 python3.11 python3; do
        if has "$one" && "$one" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$one"
            return
        fi
    done
    return 1
}

# -- undoing it

if [ -n "$uninstall" ]; then
    gone=
    if has uv && uv tool list 2>/dev/null | grep -q '^failover '; then
        uv tool uninstall failover >&2 && gone="$gone uv"
    fi
    if has pipx && pipx list --short 2>/dev/null | grep -q '^failover '; then
        pipx uninstall failover >&2 && gone="$gone pipx"
    fi
    removed=
    if is_ours; then
        rm -f "$bin/failover"
        removed=yes
    fi
    remove_all_but ''
    rmdir "$place" 2>/dev/null || :
    [ -z "$removed" ] || gone="$gone $place"
    [ -n "$gone" ] || fail 'nothing of Failover was installed by this script'
    say "taken away:$gone"
    state=${XDG_STATE_HOME:-$HOME/.local/state}/failover
    [ "$(id -u)" != 0 ] || state=/var/lib/failover
    say "incidents, if there are any, are still in $state"
    exit 0
fi

# -- where we are

case $(uname -s) in
    Linux | Darwin) ;;
    *) fail "Failover runs on Linux and macOS; this is $(uname -s). On Windows it runs in WSL" ;;
esac
if [ -z "$with" ]; then
    if has uv; then
        with=uv
    elif has pipx; then
        with=pipx
    else
        with=venv
    fi
else
    [ "$with" = venv ] || has "$with" || fail "there is no $with here"
fi
# uv fetches a Python where there is none.
[ "$with" = uv ] || python=$(python) || fail 'Python 3.11 or newer is needed and was not found; or install uv first, which brings one'

# -- what to install

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap 'exit 141' PIPE

fetch() {
    if has curl; then
        curl -gfsSL --proto '=https,http' -o "$2" -- "$1" || fail "cannot fetch $1"
    elif has wget; then
        wget -q -O "$2" -- "$1" || fail "cannot fetch $1"
    else
        fail 'curl or wget is needed to fetch the files'
    fi
}

hold_against() {
    if has sha256sum; then
        found=$(sha256sum "$1")
    elif has shasum; then
        found=$(shasum -a 256 "$1")
    else
        fail 'neither sha256sum nor shasum is here, so the files cannot be checked'
    fi
    [ "${found%% *}" = "$2" ] || fail "$(basename "$1") is not what it should be (SHA-256 ${found%% *}, expected $2); nothing was installed"
}

constraints=
case $from in
    http://* | https://*)
        [ -n "$sum" ] || wrong '--from a URL needs --sha256'
        # Its name says what it is: what a server may want to be asked besides is no part of that.
        wheel=${from%%[?#]*}
        wheel=$scratch/${wheel##*/}
        case $wheel in
            *.whl) ;;
            *) fail "--from $from: the name of a wheel ends in .whl" ;;
        esac
        fetch "$from" "$wheel"
        ;;
    ?*)
        [ -f "$from" ] || fail "$from is not a file"
        wheel=$(CDPATH='' cd -- "$(dirname -- "$from")" && pwd)/$(basename -- "$from")
        ;;
    *)
        here=$(CDPATH='' cd -- "$(dirname -- "$0")" 2>/dev/null && pwd) || here=
        if [ -n "$RELEASE" ]; then
            wheel=$scratch/$WHEEL
            sum=$WHEEL_SHA256
            constraints=$scratch/constraints.txt
            fetch "$RELEASE/$WHEEL" "$wheel"
            fetch "$RELEASE/constraints.txt" "$constraints"
            hold_against "$constraints" "$CONSTRAINTS_SHA256"
        elif [ -f "$here/src/failover/__init__.py" ]; then
            wheel=$here
            constraints=$here/constraints.txt
        else
            wrong 'this copy belongs to no release and no clone: say --from which wheel'
        fi
        ;;
esac
[ -z "$sum" ] || hold_against "$wheel" "$sum"

# -- installing it

# What a user has set for pip and uv in general would send things elsewhere.
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1
case $with in
    uv) folder=$(uv tool dir --bin) ;;
    pipx) folder=$(pipx environment --value PIPX_BIN_DIR 2>/dev/null || printf '%s' "$bin") ;;
    venv) folder=$bin ;;
esac
command=$folder/failover
# All three link to a program of that name in an environment of ours; each would write over anything else.
if [ -e "$command" ] && ! is_ours; then
    case $with:$(readlink "$command" || :) in
        uv:*/failover/bin/failover | pipx:*/failover/bin/failover) ;;
        *) fail "$command is there already and is not ours; take it away first" ;;
    esac
fi

case $with in
    uv)
        uv tool install --quiet --force --reinstall-package failover ${constraints:+--constraints "$constraints"} "${wheel}[charts]" ||
            fail 'uv could not install it, see above'
        ;;
    pipx)
        pipx install --quiet --force --python "$python" ${constraints:+--pip-args="-c $(typed "$constraints")"} "${wheel}[charts]" >&2 ||
            fail 'pipx could not install it, see above'
        ;;
    venv)
        # Beside the one that is there, which serves until the new one is complete.
        new=$place/$(date +%Y%m%d-%H%M%S)-$$
        mkdir -p "$place" "$bin"
        [ -w "$bin" ] || fail "$bin may not be written to by you"
        trap 'rm -rf "$scratch" "$new"' EXIT
        "$python" -m venv "$new" ||
            fail 'cannot make an environment; on Debian and Ubuntu it needs python3-venv: apt-get install python3-venv'
        "$new/bin/python" -m pip install --quiet ${constraints:+-c "$constraints"} "${wheel}[charts]" ||
            fail 'pip could not install it, see above'
        ln -sfn "$new/bin/failover" "$bin/failover"
        trap 'rm -rf "$scratch"' EXIT
        remove_all_but "$new"
        ;;
esac

# -- what was done

version=$("$command" version) || fail "it was installed, but $command does not run"
say "$version is installed with $with: $command"
case :$PATH: in
    *:"$folder":*) start=failover ;;
    *)
        start=$(typed "$command")
        say "$folder is not in your PATH; to have it there: export PATH=$(typed "$folder"):\"\$PATH\""
        ;;
esac
say "try it:   $start demo"
say "use it:   $start --primary=https://myapp.com --backup=https://myapp-backup.s3.amazonaws.com"
case $with in
    uv) say 'undo it:  uv tool uninstall failover' ;;
    pipx) say 'undo it:  pipx uninstall failover' ;;
    venv) say "undo it:  rm -r $(typed "$new") $(typed "$command")" ;;
esac
exit 0
}
