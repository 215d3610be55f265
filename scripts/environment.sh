# Sourced by ./failover and ./verify.sh (POSIX sh, also macOS' old bash): `environment FOLDER run|test` leaves a complete
# FOLDER/.venv or ends the shell. A stamp, written last, tells a complete environment from one that was interrupted, made
# for another version, or moved here from elsewhere. $PYTHON, where it is set, is the Python it is made with.

environment() {
    stamp=$(CDPATH='' cd -- "$1" && pwd -P && cksum pyproject.toml constraints.txt) || exit 1
    if [ -x "${1%/}/.venv/bin/python" ] && [ -f "${1%/}/.venv/stamp-$2" ]; then
        made=
        while IFS= read -r line; do
            made=${made:+$made
}$line
        done <"${1%/}/.venv/stamp-$2"
        [ "$made" = "$stamp" ] && return
    fi
    for python in ${PYTHON:+"$PYTHON"} python3.14 python3.13 python3.12 python3.11 python3; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            "$python" "${1%/}/scripts/environment.py" "$1" "$2" "$stamp" || exit 1
            return
        fi
    done
    if command -v apt-get >/dev/null; then
        how='apt-get install python3 python3-venv (where that is older than 3.11: see https://www.python.org/downloads/)'
    elif command -v brew >/dev/null; then
        how='brew install python'
    else
        how='see https://www.python.org/downloads/'
    fi
    echo "failover: Python 3.11 or newer is needed and was not found; install it: $how" >&2
    exit 1
}
