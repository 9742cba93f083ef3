#!/usr/bin/env bash
# The ETL on a cluster with spot workers, then training and evaluation on a machine with GPUs. Each cluster lives
# as long as its jobs.
#
#   deploy/dataproc/run_workflow.sh [--dry-run] ETL_CONF.yaml TRAIN_CONF.yaml
#
# Both are files here; what they name are gs:// URLs, and data.dataset of the second is the dataset of the first.
# The second workflow begins when the first has ended well. --dry-run prints what would run, and needs no network.
set -euo pipefail
# shellcheck source=deploy/dataproc/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[ "${1-}" != --dry-run ] || { dry_run=yes; shift; }
[ $# -eq 2 ] || die "found $# configurations, wanted two: the ETL's and that of training"
for configuration in "$@"; do
    [ -f "$configuration" ] || die "found no file $configuration, wanted a configuration"
done

render files "$built" || exit 2
take_values PROJECT REGION BUCKET CLUSTER
stage
run gcloud storage cp "$1" "gs://$BUCKET/exoshard/conf/etl.yaml"
run gcloud storage cp "$2" "gs://$BUCKET/exoshard/conf/train.yaml"
import_policy
for workflow in etl train; do
    run gcloud dataproc workflow-templates instantiate-from-file --file="$built/${workflow}_workflow.yaml" \
        --project="$PROJECT" --region="$REGION"
done
