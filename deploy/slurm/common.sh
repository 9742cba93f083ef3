# shellcheck shell=bash
# What the scripts of deploy/slurm share; they set $root, the checkout, before they read it.

# SLURM calls its copy of a job slurm_script; jobs name themselves in $job.
die() { printf '%s: %s\n' "${job:-$(basename "$0" .sh)}" "$*" >&2; exit 2; }

# EXOSHARD_VALUES names another file than values.env.
values=${EXOSHARD_VALUES:-${root:?}/deploy/slurm/values.env}

# All names of values.env. Those that a file of values leaves out are unset, whatever the environment holds.
names='ACCOUNT ETL_PARTITION TRAIN_PARTITION SCRATCH MODULES QOS LOCAL_SCRATCH PYTHON
    ETL_NODES ETL_CONSTRAINT ETL_CPUS ETL_MEMORY ETL_DRIVER_MEMORY ETL_TIME
    TRAIN_NODES TRAIN_CONSTRAINT TRAIN_GPUS TRAIN_RANKS TRAIN_CPUS TRAIN_MEMORY TRAIN_TIME LAUNCHER INTERFACE'

# Read values.env: names that match the first pattern, and not the second, must have a value there.
read_values() {
    local name unset=()
    [ -f "$values" ] || die "found no $values, wanted the values of this cluster"
    for name in $names; do printf -v "$name" ''; done
    # shellcheck source=deploy/slurm/values.env
    . "$values"
    for name in $names; do
        [[ ! $name =~ ^($1)$ || $name =~ ^(${2-})$ || ${!name-} =~ [^[:space:]] ]] || unset+=("$name")
    done
    [ ${#unset[@]} -eq 0 ] || die "$values: ${unset[*]}: found no value, wanted yours, or none"
    python=$PYTHON
    [ "$python" != none ] || python=$root/.venv/bin/python
}

# The same, in a job, with the modules that it needs.
prepare_job() {
    read_values "$1"
    if [ "$MODULES" != none ]; then
        type module >/dev/null 2>&1 || die "$values: MODULES: found no command module on $(hostname), wanted it or none"
        # shellcheck disable=SC2086 # words
        module load $MODULES
    fi
    [ -x "$python" ] || die "found no Python at $python, wanted one there on all nodes: make setup, or PYTHON in $values"
}

# The address at which SLURM itself reaches a node. Its name may lead to 127.0.0.1 there.
node_address() { scontrol show node -o "$1" | grep -o -m 1 ' NodeAddr=[^ ]*' | cut -d= -f2; }

# Cores and MiB of this job on each node.
node_cores() { echo "${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}"; }
node_memory() {
    if [ "${SLURM_MEM_PER_NODE:-0}" -gt 0 ]; then
        echo "$SLURM_MEM_PER_NODE"
    elif [ "${SLURM_MEM_PER_CPU:-0}" -gt 0 ]; then
        echo $((SLURM_MEM_PER_CPU * $(node_cores)))
    else
        die "found no SLURM_MEM_PER_NODE in the job, wanted sbatch --mem, such as --mem=128G"
    fi
}
