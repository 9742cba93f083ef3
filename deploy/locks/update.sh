#!/usr/bin/env bash
# Make the locks again from pyproject.toml and the .in files; versions that still fit stay as they are.
#
#   deploy/locks/update.sh                      add what pyproject.toml newly asks for
#   deploy/locks/update.sh --upgrade            take the newest of everything
#   deploy/locks/update.sh -P plotly            take the newest of one package
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
locks=$root/deploy/locks
uv=$root/.venv/bin/uv
# The CPU build of torch 2.13.0 for CPython 3.11 on x86-64 Linux, which is not in the registry.
torch_cpu_sha256=6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b

[ -x "$uv" ] || uv=$(command -v uv) || { echo "update: uv is missing; run deploy/setup.sh first" >&2; exit 1; }

resolve() {
    "$uv" pip compile --quiet --python-version "${python:-3.11}" --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "$@" >/dev/null
}

resolve "$locks/bootstrap.in" --no-config -o "$locks/bootstrap.lock"
resolve "$root/pyproject.toml" "$locks/local.in" --extra etl --extra train --extra dev \
    --config-file "$locks/resolve.toml" -o "$locks/local.lock" "$@"
python=3.12 resolve "$root/pyproject.toml" "$locks/gpu.in" --extra train-arrow --extra s3 --extra gs --extra hdfs \
    --no-config -o "$locks/gpu.lock" "$@"
resolve "$root/pyproject.toml" "$locks/next.in" --extra etl --extra s3 --extra gs --extra hdfs --no-config \
    -o "$locks/next.lock" "$@"
resolve "$locks/check.in" --no-config -o "$locks/check.lock" "$@"
# A +cpu version installs nowhere else, so the pin stays plain and accepts either file.
sed -i "/$torch_cpu_sha256/d" "$locks/local.lock"
sed -i "s/^torch==2\.13\.0 \\\\$/&\n    --hash=sha256:$torch_cpu_sha256 \\\\/" "$locks/local.lock"
for name in bootstrap local gpu next check; do
    sed -i '1i # Made by update.sh; do not edit.' "$locks/$name.lock"
    echo "update: $(grep -c '^[a-z].*==' "$locks/$name.lock") packages in $name.lock"
done
