#!/usr/bin/env bash
# Init script of Databricks: the locked packages in the Python of a job's cluster, and Hail's jar at a path that
# spark_conf can name. It runs on each machine, before Spark does.
#
# EXOSHARD_FILES  folder of a volume with pyproject.toml, the locks and what builds Horovod
# EXOSHARD_LOCK   local.lock or gpu.lock
# EXOSHARD_EXTRA  extra of pyproject.toml: etl, train or train-arrow
# CLUSTER_PYTHON and EXOSHARD_HOME are for trying it elsewhere.
set -euo pipefail

python=${CLUSTER_PYTHON:-/databricks/python/bin/python}
home=${EXOSHARD_HOME:-/opt/exoshard}

die() { printf 'install_environment: %s\n' "$*" >&2; exit 1; }

for name in EXOSHARD_FILES EXOSHARD_LOCK EXOSHARD_EXTRA; do
    [ -n "${!name:-}" ] || die "found no $name, wanted it among the cluster's spark_env_vars"
done
for file in pyproject.toml bootstrap.lock "$EXOSHARD_LOCK"; do
    [ -f "$EXOSHARD_FILES/$file" ] || die "found no $EXOSHARD_FILES/$file, wanted it from deploy.sh"
done

mkdir -p "$home"
"$python" -m pip install --quiet --no-cache-dir --require-hashes --target "$home/tools" \
    -r "$EXOSHARD_FILES/bootstrap.lock"

# The runtime brings a Spark of its own, with changes that its Java asks for.
printf "pyspark ; python_version < '3'\n" >"$home/overrides.txt"
UV_NO_CACHE=1 "$home/tools/bin/uv" pip install --quiet --python "$python" -r "$EXOSHARD_FILES/pyproject.toml" \
    --extra "$EXOSHARD_EXTRA" --extra s3 --extra gs -c "$EXOSHARD_FILES/$EXOSHARD_LOCK" --override "$home/overrides.txt"

case "$EXOSHARD_EXTRA" in
    etl)
        packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        jar=$packages/hail/backend/hail-all-spark.jar
        [ -f "$jar" ] || die "found no $jar, wanted Hail's jar"
        ln -sf "$jar" "$home/hail-all-spark.jar" ;;
    train) # the runtime's Horovod is built for another torch
        HOROVOD_GPU_OPERATIONS=NCCL EXOSHARD_CACHE=$EXOSHARD_FILES/cache bash "$EXOSHARD_FILES/build.sh" "$python" ;;
esac
