#!/usr/bin/env bash
# Make the environment of `make deploy-check`, once for each lock; print the path of its Python.
#
#   deploy/check/environment.sh              /home/you/.cache/exoshard/deploy-check/1f2e3d4c5b6a/bin/python
#
# The validators want another protobuf than the project, so they have an environment of their own; its lock is
# deploy/locks/check.lock.
# PYTHON          another Python 3.11 than the one that is found
# EXOSHARD_CACHE  where the environment is kept, by default ~/.cache/exoshard
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lock=$root/deploy/locks/check.lock
: "${HOME:=$(cd ~ && pwd)}" # unset in some containers
cache=${EXOSHARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exoshard}/deploy-check

say() { printf 'deploy-check: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

is_python311() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
}

find_python311() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} "$root/.venv/bin/python" python3.11 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11.*/bin/python; do
        is_python311 "$candidate" && { echo "$candidate"; return; }
    done
    die "no Python 3.11 with venv was found${PYTHON:+ (PYTHON=$PYTHON is not one)}; install it or set PYTHON to it"
}

venv=$cache/$(sha256sum "$lock" | cut -c1-12)
python=$venv/bin/python
# The mark is written last: an environment without it was left by a run that was killed, and is made again.
mark=$venv/.complete
if ! [ -e "$mark" ] || ! [ -x "$python" ]; then
    mkdir -p "$cache"
    if command -v flock >/dev/null; then
        exec 9>"$venv.lock"
        flock 9
    fi
    if ! [ -e "$mark" ] || ! [ -x "$python" ]; then
        base=$(find_python311)
        say "making the environment of the validators (half a minute, once)"
        rm -rf "$venv"
        "$base" -m venv "$venv"
        "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" >&2 ||
            die "the packages of deploy/locks/check.lock could not be installed; the lines above say why"
        touch "$mark"
    fi
fi
echo "$python"
