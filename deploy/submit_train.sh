#!/usr/bin/env bash
# Train on several ranks, on this host or on many.
#
#   deploy/submit_train.sh [options of the launcher] conf/train/NAME.yaml [key=value ...]
#   deploy/submit_train.sh -np 4 conf/train/cnn.yaml
#   deploy/submit_train.sh -np 16 -H node1:8,node2:8 -p 22 conf/train/cnn.yaml
#   LAUNCHER=torchrun deploy/submit_train.sh --standalone --nproc-per-node 4 conf/train/cnn.yaml
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
while [ $# -gt 0 ] && [[ $1 != *.yaml && $1 != *.yml ]]; do options+=("$1"); shift; done
[ $# -gt 0 ] || die "found no configuration among the arguments, wanted conf/train/NAME.yaml after the launcher's options"
case "$1" in /*) config=$1 ;; *) config=$PWD/$1 ;; esac
shift
case "${LAUNCHER:-horovodrun}" in
    horovodrun)
        [[ " ${options[*]-} " =~ \ (-np|--num-proc)[=\ ] ]] || die "found no -np, wanted the number of ranks"
        [ -x "$horovodrun" ] || die "found no $horovodrun, wanted Horovod beside $python; run make setup or set PYTHON"
        command=("$horovodrun" --gloo ${options[@]+"${options[@]}"} "$python" -m train) ;;
    torchrun) command=("$python" -m torch.distributed.run ${options[@]+"${options[@]}"} -m train) ;;
    *) die "LAUNCHER: found $LAUNCHER, wanted horovodrun or torchrun" ;;
esac

cd "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkfifo "$work/errors"
tee "$work/log" <"$work/errors" >&2 &
copying=$!
"${command[@]}" fit "$config" "$@" 2>"$work/errors" &
launched=$!
trap 'kill -TERM "$launched" 2>/dev/null || true' TERM INT HUP
wait "$launched" && status=0 || status=$?
while kill -0 "$launched" 2>/dev/null; do wait "$launched" && status=0 || status=$?; done # after a signal
wait "$copying" || true
[ "$status" -ne 0 ] || exit 0

# The leading rank's sentences, or those of the first rank that spoke.
first() {
    grep -o "rank [0-9]* $1: .*" "$work/log" | sort -s -k2,2n | awk 'NR == 1 {rank = $2} $2 == rank && !seen[$0]++'
}
told=$(first 'ends with status [0-9]*' || first 'was left alone' || true)
sed 's/^\(rank [0-9]*\) [a-z 0-9]*: /\1: /; s/^/submit_train: /' <<<"${told:-the launcher ended with status $status}" >&2
[[ $told =~ ^rank\ [0-9]+\ ends\ with\ status\ ([0-9]+): ]] || exit 1
exit "${BASH_REMATCH[1]}"
