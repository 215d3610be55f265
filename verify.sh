#!/bin/sh
# Everything that CI runs, from a fresh clone: makes the environment with what the tests need, looks the code over,
# counts the instructions of a request, runs the tests. The last line is pytest's own; the exit code is 0 only where
# everything is well. A request that has become dearer is said in red and fails nothing.
cd -- "$(dirname -- "$0")" || exit 1

# Real servers, a real browser and valgrind, from Debian. What needs one of them and does not find it skips itself.
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in nginx:nginx haproxy:haproxy chromium:chromium chromedriver:chromium-driver curl:curl valgrind:valgrind \
    systemd-analyze:systemd; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "verify: no apt-get here; what needs$missing is skipped" >&2
    elif [ "$(id -u)" != 0 ]; then
        echo "verify: not root, so not installing; what needs$missing is skipped" >&2
        echo "verify: to run it too: apt-get install$missing" >&2
    else
        echo "verify: installing$missing" >&2
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086 # a list of words
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null ||
            echo "verify: apt-get failed; what needs$missing is skipped" >&2
    fi
fi

. ./scripts/environment.sh
environment . test

wrong=0
./scripts/check.sh || wrong=1
if [ "$wrong" != 0 ]; then
    echo "verify: the checks above have failed; the tests run all the same" >&2
fi
if command -v valgrind >/dev/null 2>&1; then
    .venv/bin/python bench/instructions.py ||
        echo "verify: the instructions of a request could not be counted, see above; the tests run all the same" >&2
else
    echo "verify: the instructions of a request are not counted: no valgrind here" >&2
fi
# Most tests wait for a process or for its clock: two at a time take half as long.
.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal "$@" || wrong=$?
exit "$wrong"
