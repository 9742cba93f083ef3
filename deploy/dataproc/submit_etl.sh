#!/usr/bin/env bash
# Run the ETL on a Dataproc cluster, or as a batch of Serverless for Spark.
#
#   deploy/dataproc/submit_etl.sh [--dry-run] [--serverless] CONF.yaml [key=value ...]
#
# CONF.yaml is a file here, whose inputs and `out` are gs:// URLs. It travels with the job, as the packages do.
# --serverless  needs CONTAINER_IMAGE (serverless.Dockerfile) instead of a cluster
# --dry-run     prints what would run, and needs no network
set -euo pipefail
# shellcheck source=deploy/dataproc/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

serverless=
while [ $# -gt 0 ] && [[ $1 == --* ]]; do
    case "$1" in
        --dry-run) dry_run=yes ;;
        --serverless) serverless=yes ;;
        *) die "found $1, wanted --dry-run, --serverless or a configuration" ;;
    esac
    shift
done
[ $# -gt 0 ] || die "found no configuration among the arguments, wanted CONF.yaml"
configuration=$1
shift
[ -f "$configuration" ] || die "found no file $configuration, wanted the ETL's configuration"

take_values PROJECT REGION BUCKET
render packages "$built"
common=("--project=$PROJECT" "--region=$REGION" "--files=$configuration,$built/packages.zip")
main=$root/deploy/dataproc/job.py
if [ -n "$serverless" ]; then
    # Runtime 1.2 is Spark 3.5 for Scala 2.12, as Hail's jar is. Runtimes 2.x are for Scala 2.13.
    take_values CONTAINER_IMAGE SERVICE_ACCOUNT SUBNET
    [ "$CONTAINER_IMAGE" != none ] || die "$values: CONTAINER_IMAGE: found none, wanted an image for --serverless"
    properties=$(render properties serverless)
    run gcloud dataproc batches submit pyspark "$main" "${common[@]}" \
        --batch="exoshard-etl-$(date -u +%Y%m%d-%H%M%S)" --version=1.2 --container-image="$CONTAINER_IMAGE" \
        --deps-bucket="gs://$BUCKET" --service-account="$SERVICE_ACCOUNT" --subnet="$SUBNET" \
        --properties="$properties" -- etl run "$(basename "$configuration")" "$@"
else
    take_values CLUSTER
    properties=$(render properties cluster)
    run gcloud dataproc jobs submit pyspark "$main" "${common[@]}" --cluster="$CLUSTER" \
        --properties="$properties" -- etl run "$(basename "$configuration")" "$@"
fi
