#!/usr/bin/env bash
# Send the ETL or the training off to SLURM, with the options that values.env holds.
#
#   deploy/slurm/submit.sh etl   [options of sbatch] conf/etl/NAME.yaml [key=value ...]
#   deploy/slurm/submit.sh train [options of sbatch] conf/train/NAME.yaml [key=value ...]
#   deploy/slurm/submit.sh train --dependency=afterok:1234 conf/train/NAME.yaml
#
# It prints what sbatch prints; the job's log is exoshard-etl-JOB.out or exoshard-train-JOB.out in this folder.
# EXOSHARD_VALUES names another file than deploy/slurm/values.env.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/slurm/common.sh
. "$root/deploy/slurm/common.sh"

half=${1-}
case $half in
    -h | --help) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    etl) half=ETL other=TRAIN ;;
    train) half=TRAIN other=ETL ;;
    *) die "found ${half:-nothing} as the first word, wanted etl or train" ;;
esac
script=$root/deploy/slurm/$1.sbatch
shift
[[ " $* " =~ \.ya?ml\  ]] || die "found no configuration among the arguments, wanted conf/${half,,}/NAME.yaml after sbatch's options"
read_values "[A-Z_]*" "${other}_.*"

options=()
option() { [ "$2" = none ] || options+=("$1=$2"); } # NAME VALUE
value() { local name=${half}_$1; echo "${!name}"; }
option --account "$ACCOUNT"
option --qos "$QOS"
option --partition "$(value PARTITION)"
option --nodes "$(value NODES)"
option --constraint "$(value CONSTRAINT)"
option --cpus-per-task "$(value CPUS)"
option --mem "$(value MEMORY)"
option --time "$(value TIME)"
[ "$half" = ETL ] || option --gpus-per-node "$TRAIN_GPUS"

export EXOSHARD_ROOT=$root EXOSHARD_VALUES=$values
while [[ $1 != *.yaml && $1 != *.yml ]]; do options+=("$1"); shift; done
exec sbatch "${options[@]}" "$script" "$@"
