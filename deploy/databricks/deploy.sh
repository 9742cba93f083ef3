#!/usr/bin/env bash
# Put the bundle into a Databricks workspace and run its job: ETL, training, evaluation.
#
#   deploy/databricks/deploy.sh [--dry-run] [--target torch|horovod]
#
# It wants the Databricks CLI, logged in to HOST. --dry-run prints what would run, and needs neither it nor a network.
# VALUES  another file of values than values.env
# PYTHON  a Python, by default .venv/bin/python
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
dry_run=
target=torch

die() { printf 'databricks: %s\n' "$*" >&2; exit 2; }

run() {
    if [ -z "$dry_run" ]; then "$@"; return; fi
    local line
    printf -v line '%q ' "$@"
    printf '%s\n' "${line% }"
}

while [ $# -gt 0 ]; do
    case "$1" in
        --dry-run) dry_run=yes ;;
        --target) target=${2:-}; shift ;;
        --target=*) target=${1#*=} ;;
        *) die "found $1, wanted --dry-run or --target NAME: settings stand in values.env" ;;
    esac
    [ $# -eq 0 ] || shift
done
case "$target" in torch | horovod) ;; *) die "--target: found ${target:-nothing}, wanted torch or horovod" ;; esac
[ -x "$python" ] || die "found no Python at $python, wanted one; run make setup or set PYTHON"

assignments=$(cd "$root" && "$python" -m deploy.databricks.variables) || exit 2
while IFS= read -r assignment; do
    export "${assignment?}"
    [ -z "$dry_run" ] || printf 'export %q\n' "$assignment"
done <<<"$assignments"

files=${BUNDLE_VAR_volume:?}/exoshard
run databricks fs mkdirs "dbfs:$files"
for file in pyproject.toml deploy/locks/{bootstrap,local,gpu}.lock deploy/horovod/build.sh \
    deploy/databricks/install_environment.sh; do
    run databricks fs cp --overwrite "$root/$file" "dbfs:$files/$(basename "$file")"
done

# The CLI looks for databricks.yml in the working directory.
[ -n "$dry_run" ] || cd "$here"
for action in validate deploy "run exoshard"; do
    # shellcheck disable=SC2086 # two words
    run databricks bundle $action --target "$target"
done
