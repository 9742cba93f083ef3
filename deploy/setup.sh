#!/usr/bin/env bash
# Make .venv with everything that both halves need. Does nothing when it already fits.
#
#   deploy/setup.sh
#
# PYTHON          another Python 3.11 than the one that is found
# EXOSHARD_CACHE  where Horovod's wheel is kept, by default ~/.cache/exoshard
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=$root/.venv
python=$venv/bin/python
stamp=$venv/.exoshard-setup
sources=(deploy/locks/bootstrap.lock deploy/locks/local.lock deploy/horovod/build.sh deploy/setup.sh pyproject.toml)

wanted="$(cat "${sources[@]}" | sha256sum) $root"
[ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

is_python311() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
}

: "${HOME:=$(cd ~ && pwd)}" # unset in some containers

find_python311() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11.*/bin/python; do
        is_python311 "$candidate" && { echo "$candidate"; return; }
    done
    die "no Python 3.11 with venv was found${PYTHON:+ (PYTHON=$PYTHON is not one)}; install it or set PYTHON to it"
}

make_venv() {
    [ -x "$python" ] && ! is_python311 "$python" && die "$venv is not for Python 3.11; remove it and try again"
    [ -x "$python" ] && "$python" -m pip --version >/dev/null 2>&1 && return
    local base
    base=$(find_python311)
    say "making .venv with $("$base" --version)"
    "$base" -m venv "$venv"
}

# uv reads none of pip's settings, and both must look in the same places.
follow_pip_settings() {
    local folder index certificate
    for folder in ${PIP_FIND_LINKS:-$("$python" -m pip config get global.find-links 2>/dev/null || true)}; do
        find_links+=(--find-links "$folder")
    done
    index=${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
    # `pip config get` does not know this one.
    certificate=${PIP_CERT:-$("$python" -m pip config list 2>/dev/null | sed -n "s/^global\.cert='\(.*\)'$/\1/p")}
    [ -z "$certificate" ] || export SSL_CERT_FILE=${SSL_CERT_FILE:-$certificate}
    export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
}

install_packages() {
    find_links=()
    follow_pip_settings
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/locks/bootstrap.lock
    say "installing the locked packages (one or two minutes when none is in a cache)"
    # --no-config: a uv.toml of the user's could change what is chosen.
    "$venv/bin/uv" pip install --no-config --python "$python" ${find_links[@]+"${find_links[@]}"} -r deploy/locks/local.lock
    "$venv/bin/uv" pip install --no-config --quiet --python "$python" --no-deps --no-build-isolation --editable .
}

mkdir -p "$venv"
if command -v flock >/dev/null; then
    exec 9>"$venv/.setup-lock"
    flock -n 9 || { say "waiting for another set-up of this checkout"; flock 9; }
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0
fi

started=$SECONDS
make_venv
install_packages
deploy/horovod/build.sh "$python"
printf '%s\n' "$wanted" >"$stamp"
say "done in $((SECONDS - started)) s"
