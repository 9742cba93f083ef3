#!/usr/bin/env bash
# What the commands of this folder share; they source it.
#
# VALUES  another file of values than values.env
# PYTHON  a Python with PyYAML, by default .venv/bin/python
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
values=${VALUES:-$root/deploy/dataproc/values.env}
python=${PYTHON:-$root/.venv/bin/python}
built=$root/build/dataproc
dry_run=

die() { printf 'dataproc: %s\n' "$*" >&2; exit 2; }

[ -x "$python" ] || die "found no Python at $python, wanted one with PyYAML; run make setup or set PYTHON"

render() { (cd "$root" && "$python" -m deploy.dataproc.render "$@"); }

# Set variables of the shell from the file of values: all that are named, or it ends with a sentence for each unset one.
take_values() {
    local assignments
    assignments=$(render shell "$@") || exit 2
    eval "$assignments"
}

# Run a command, or print it as a line that a shell takes.
run() {
    if [ -z "$dry_run" ]; then "$@"; return; fi
    local line
    printf -v line '%q ' "$@"
    printf '%s\n' "${line% }"
}

# Put what clusters install and run below gs://BUCKET/exoshard.
stage() {
    render packages "$built"
    run gcloud storage cp "$root/pyproject.toml" "$root/deploy/locks/bootstrap.lock" "$root/deploy/locks/local.lock" \
        "$root/deploy/dataproc/init_environment.sh" "$root/deploy/dataproc/job.py" "$built/packages.zip" \
        "gs://$BUCKET/exoshard/"
}

# A policy that is there already is replaced.
import_policy() {
    run gcloud dataproc autoscaling-policies import "$CLUSTER" --source="$built/autoscaling_policy.yaml" \
        --project="$PROJECT" --region="$REGION" --quiet
}
