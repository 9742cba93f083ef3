#!/usr/bin/env bash
# Train on several ranks, on this host or on many.
#
#   deploy/submit_train.sh [options of horovodrun] conf/train/NAME.yaml [key=value ...]
#   deploy/submit_train.sh -np 4 conf/train/cnn.yaml
#   deploy/submit_train.sh -np 16 -H node1:8,node2:8 -p 22 conf/train/cnn.yaml
#
# On many hosts this checkout and its .venv lie at the same path everywhere, ssh needs no password, and each
# host's name leads to an address that the others reach, not to 127.0.0.1.
# PYTHON  another Python with the train extra than .venv/bin/python
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
horovodrun=$(dirname "$python")/horovodrun

die() { printf 'submit_train: %s\n' "$*" >&2; exit 2; }

options=()
while [ $# -gt 0 ] && [[ $1 != *.yaml && $1 != *.yml ]]; do options+=("$1"); shift; done
[ $# -gt 0 ] || die "found no configuration among the arguments, wanted conf/train/NAME.yaml after horovodrun's options"
[[ " ${options[*]-} " =~ \ (-np|--num-proc)[=\ ] ]] || die "found no -np, wanted the number of ranks"
[ -x "$horovodrun" ] || die "found no $horovodrun, wanted Horovod beside $python; run make setup or set PYTHON"
case "$1" in /*) config=$1 ;; *) config=$PWD/$1 ;; esac
shift

cd "$root"
exec "$horovodrun" --gloo ${options[@]+"${options[@]}"} "$python" -m train fit "$config" "$@"
