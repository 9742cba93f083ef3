#!/usr/bin/env bash
# Train on several ranks, on this host or on many.
#
#   deploy/submit_train.sh [options of the launcher] conf/train/NAME.yaml [key=value ...]
#   deploy/submit_train.sh -np 4 conf/train/cnn.yaml
#   deploy/submit_train.sh -np 16 -H node1:8,node2:8 -p 22 conf/train/cnn.yaml
#   LAUNCHER=torchrun deploy/submit_train.sh --standalone --nproc-per-node 4 conf/train/cnn.yaml
#   deploy/submit_train.sh --gpus 8 conf/train/cnn.yaml
#   deploy/submit_train.sh --elastic -np 8 --host-discovery-script ./hosts.sh conf/train/cnn.yaml
#
# --gpus N trains on N GPUs of this host, one rank on each (-np N or --standalone --nproc-per-node N), after a look at
# the driver, torch and NCCL: what is missing is told before any rank starts. It sets run.device=cuda. With -H or
# --elastic say -np too; the packages are then looked at here, and each rank asks for a GPU of its own host. With
# torchrun's --nnodes every node says --gpus N.
#
# --elastic goes on with the ranks that are left when a rank ends, and with new ones when hosts come. The
# script prints a line "host:ranks" for each host that there is now; with -H instead the hosts are always the
# same. -np ranks begin, at least --min-np (1) go on, at most --max-np. The run's folder lies where all hosts
# see it. A host that lost a rank is left out for a while (--blacklist-cooldown-range, 10 to 120 s).
#
# Launchers answer whatever goes wrong with status 1 and lines of their own. Here the last line is what the
# leading rank said, and the status its own: 2 for what you can mend (configuration, dataset, folder), 143 for a
# run that was told to end and has saved, 1 for any other failure.
#
# On many hosts this checkout and its .venv lie at the same path everywhere, ssh needs no password, and each
# host's name leads to an address that the others reach, not to 127.0.0.1.
# PYTHON    another Python with the train extra than .venv/bin/python
# LAUNCHER  horovodrun (if nothing else is said) or torchrun
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
horovodrun=$(dirname "$python")/horovodrun

die() { printf 'submit_train: %s\n' "$*" >&2; exit 2; }

options=()
elastic=
gpus=
while [ $# -gt 0 ] && [[ $1 != *.yaml && $1 != *.yml ]]; do
    case "$1" in
        --elastic) elastic=yes ;;
        --gpus) gpus=${2:-nothing}; [ $# -lt 2 ] || shift ;;
        --gpus=*) gpus=${1#*=}; gpus=${gpus:-nothing} ;;
        *) options+=("$1") ;;
    esac
    shift
done
[[ ${gpus:-1} =~ ^[1-9][0-9]*$ ]] || die "--gpus: found $gpus, wanted the number of GPUs of a host"
[ $# -gt 0 ] || die "found no configuration among the arguments, wanted conf/train/NAME.yaml after the launcher's options"
case "$1" in /*) config=$1 ;; *) config=$PWD/$1 ;; esac
shift

given() { [[ " ${options[*]-} " =~ \ ($1)[=\ ] ]]; }

# Take an option and its value out of the launcher's; it is then in $value.
take() {
    local rest=() i
    for ((i = 0; i < ${#options[@]}; i++)); do
        case "${options[i]}" in
            "$1") value=${options[i + 1]-}; i=$((i + 1)) ;;
            "$1"=*) value=${options[i]#*=} ;;
            *) rest+=("${options[i]}") ;;
        esac
    done
    options=(${rest[@]+"${rest[@]}"})
}

# One rank on each of this host's GPUs, and a sentence where GPUs can't be used.
add_gpu_options() {
    local launcher=$1 here=$gpus value='' told
    if [ "$launcher" = torchrun ]; then
        given '--nproc[-_]per[-_]node' || options+=(--nproc-per-node "$gpus")
        given '--standalone|--nnodes|--rdzv[-_][a-z]*|--master[-_][a-z]*' || options=(--standalone "${options[@]}")
    elif [ -n "$elastic" ] || given '-H|--hosts|-hostfile|--hostfile'; then
        given '-np|--num-proc' || die "found --gpus for many hosts without -np, wanted the number of all ranks"
        here=0
    else
        for name in -np --num-proc; do take "$name"; done
        [ "${value:-$gpus}" = "$gpus" ] || die "found $value ranks and --gpus $gpus, wanted one rank for each GPU"
        options+=(-np "$gpus")
    fi
    told=$(cd "$root" && "$python" -m deploy.gpus "$here" "$launcher") || die "--gpus $gpus: ${told:-the look at them failed as above}"
}

# Horovod's options for ranks that come and go. Horovod tells ranks nothing of hosts that come before its ranks
# listen: for the first minute the hosts are those of the first answer.
add_elastic_options() {
    local value='' hosts
    if given --host-discovery-script; then
        take --host-discovery-script
        [ -x "$value" ] || die "--host-discovery-script: found $value, wanted a program that prints host:ranks lines"
        value=$(cd "$(dirname "$value")" && pwd)/$(basename "$value")
    else
        for name in -H --hosts; do take "$name"; done
        [ -n "$value" ] || die "found --elastic alone, wanted --host-discovery-script PROGRAM or -H HOST:RANKS,..."
        printf '#!/bin/sh\ncat <<END\n%s\nEND\n' "${value//,/$'\n'}" >"$work/always"
        chmod +x "$work/always"
        value=$work/always
    fi
    hosts=$("$value") || die "--host-discovery-script: found status $? from $value, wanted lines host:ranks"
    [ -n "$hosts" ] || die "--host-discovery-script: found no host from $value, wanted lines host:ranks"
    printf '%s\n' "$hosts" >"$work/first"
    # shellcheck disable=SC2016 # for the shell of the new script
    printf '#!/bin/sh\nif [ $(($(date +%%s) - %s)) -lt %s ]; then cat "%s"; else exec "%s"; fi\n' \
        "$(date +%s)" "${SETTLING:-60}" "$work/first" "$value" >"$work/discover"
    chmod +x "$work/discover"
    options+=(--host-discovery-script "$work/discover")
    given '--min-np|--min-num-proc' || options+=(--min-np 1)
    given --blacklist-cooldown-range || options+=(--blacklist-cooldown-range 10 120)
    if ! given '--network-interfaces?|--gloo-iface'; then
        if ! grep -qvE '^(localhost|127\.[0-9.]+)(:|$)' <<<"$hosts"; then
            options+=(--network-interface lo)
        elif [ "$(cut -d: -f1 <<<"$hosts" | sort -u | wc -l)" -lt 2 ]; then
            die "found one host, wanted --network-interface NAME: Horovod looks for it between two hosts"
        fi
    fi
}

[ -z "$gpus" ] || set -- run.device=cuda "$@"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case "${LAUNCHER:-horovodrun}" in
    horovodrun)
        [ -n "$gpus" ] || given '-np|--num-proc' || die "found no -np, wanted the number of ranks"
        [ -x "$horovodrun" ] || die "found no $horovodrun, wanted Horovod beside $python; run make setup or set PYTHON"
        [ -z "$gpus" ] || add_gpu_options horovodrun
        [ -z "$elastic" ] || add_elastic_options
        command=("$horovodrun" --gloo ${options[@]+"${options[@]}"} "$python" -m train) ;;
    torchrun)
        [ -z "$elastic" ] || die "found --elastic with torchrun, wanted horovodrun"
        [ -z "$gpus" ] || add_gpu_options torchrun
        command=("$python" -m torch.distributed.run ${options[@]+"${options[@]}"} -m train) ;;
    *) die "LAUNCHER: found $LAUNCHER, wanted horovodrun or torchrun" ;;
esac

cd "$root"
mkfifo "$work/errors"
# SLURM tells every process of a job to end; what the ranks then say is still to be copied.
(trap '' TERM INT HUP; exec tee "$work/log" <"$work/errors" >&2) &
copying=$!
"${command[@]}" fit "$config" "$@" 2>"$work/errors" &
launched=$!
trap 'kill -TERM "$launched" 2>/dev/null || true' TERM INT HUP
if [ -n "$elastic" ]; then
    # Horovod waits for ranks that stand still, although all others have ended for their sake.
    (
        while kill -0 "$launched" 2>/dev/null && ! grep -qs 'all ranks end' "$work/log"; do sleep 2; done
        for _ in 1 2 3 4 5 6 7; do
            sleep 2
            kill -0 "$launched" 2>/dev/null || exit 0
        done
        kill -TERM "$launched" 2>/dev/null
    ) &
fi
wait "$launched" && status=0 || status=$?
while kill -0 "$launched" 2>/dev/null; do wait "$launched" && status=0 || status=$?; done # after a signal
wait "$copying" || true
[ "$status" -ne 0 ] || exit 0

if [ -n "$elastic" ]; then # what ended ranks that the others outlived is not why this launch ended
    awk '/ranks came or went/ {text = ""} {text = text $0 "\n"} END {printf "%s", text}' "$work/log" >"$work/last"
    mv "$work/last" "$work/log"
fi

# The leading rank's sentences, or those of the first rank that spoke.
first() {
    grep -o "rank [0-9]* $1: .*" "$work/log" | sort -s -k2,2n | awk 'NR == 1 {rank = $2} $2 == rank && !seen[$0]++'
}
told=$(first 'ends with status [0-9]*' || first 'was left alone' || true)
sed 's/^\(rank [0-9]*\) [a-z 0-9]*: /\1: /; s/^/submit_train: /' <<<"${told:-the launcher ended with status $status}" >&2
[[ $told =~ ^rank\ [0-9]+\ ends\ with\ status\ ([0-9]+): ]] || exit 1
exit "${BASH_REMATCH[1]}"
