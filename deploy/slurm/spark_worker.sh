#!/usr/bin/env bash
# A Spark worker on one node of an allocation, with a folder of its own there; etl.sbatch starts one on each.
#
#   spark_worker.sh MASTER_URL MEMORY_MIB LOCAL_FOLDER PROPERTIES_FILE
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/slurm/common.sh
. "$root/deploy/slurm/common.sh"

folder=$3/$SLURMD_NODENAME
address=$(node_address "$SLURMD_NODENAME")
mkdir -p "$folder"
trap 'rm -rf "$folder"; rmdir "$3" 2>/dev/null || true' EXIT
trap 'kill -TERM "$worker" 2>/dev/null || true' TERM INT HUP
SPARK_LOCAL_IP=$address SPARK_LOCAL_DIRS=$folder/shuffle "$SPARK_HOME/bin/spark-class" \
    org.apache.spark.deploy.worker.Worker --host "$address" --port 0 --webui-port 0 --cores "$(node_cores)" \
    --memory "$2m" --work-dir "$folder/work" --properties-file "$4" "$1" &
worker=$!
wait "$worker" || true
wait "$worker" || true # after a signal, which ends the first wait
