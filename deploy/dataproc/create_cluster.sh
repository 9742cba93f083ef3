#!/usr/bin/env bash
# Create the cluster of the ETL on Dataproc, from values.env: the one command before submit_etl.sh.
#
#   deploy/dataproc/create_cluster.sh [--dry-run]
#
# It is a cluster as `hailctl dataproc start` makes them, with the locked packages in /opt/exoshard/environment instead
# of packages in the image's Python, shuffles on the workers that stay, and spot workers that come with the load.
# --dry-run prints what would run, and needs no network.
set -euo pipefail
# shellcheck source=deploy/dataproc/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[ "${1-}" != --dry-run ] || { dry_run=yes; shift; }
[ $# -eq 0 ] || die "found $1, wanted --dry-run or nothing: settings stand in values.env"

render files "$built" || exit 2
take_values PROJECT REGION BUCKET CLUSTER
stage
import_policy
run gcloud dataproc clusters import "$CLUSTER" --source="$built/cluster.yaml" --project="$PROJECT" --region="$REGION" \
    --quiet
