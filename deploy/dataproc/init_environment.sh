#!/usr/bin/env bash
# Initialization action of Dataproc: the locked packages in /opt/exoshard/environment, on each machine of a cluster.
# The image's own Python gets no package. Spark uses this environment where a job names it.
#
# Metadata of the cluster:
#   exoshard-source  gs:// folder with pyproject.toml, bootstrap.lock and local.lock
#   exoshard-extra   extra of pyproject.toml: etl or train-arrow
# EXOSHARD_HOME moves the folder.
set -euo pipefail

home=${EXOSHARD_HOME:-/opt/exoshard}
die() { printf 'init_environment: %s\n' "$*" >&2; exit 1; }

metadata() {
    curl -fsS -H 'Metadata-Flavor: Google' \
        "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1" ||
        die "found no metadata $1, wanted it among the cluster's"
}

# Any Python that can make an environment will do to run uv, which then takes or gets Python 3.11.
find_python() {
    local candidate
    for candidate in /opt/conda/default/bin/python /opt/conda/miniconda3/bin/python python3.11 python3; do
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then echo "$candidate"; return; fi
    done
    die "found no Python with venv, wanted one in the image"
}

source=$(metadata exoshard-source)
extra=$(metadata exoshard-extra)
mkdir -p "$home/locks"
for file in pyproject.toml bootstrap.lock local.lock; do
    gcloud storage cp "$source/$file" "$home/locks/$file" || die "found no $source/$file, wanted it from create_cluster.sh"
done

# annoy, which Hail's helper library asks for, comes as source only.
if [ "$extra" = etl ] && ! command -v g++ >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends g++
fi

python=$(find_python)
"$python" -m venv "$home/tools"
"$home/tools/bin/python" -m pip install --quiet --no-cache-dir --require-hashes -r "$home/locks/bootstrap.lock"
uv=$home/tools/bin/uv
export UV_NO_CACHE=1 UV_PYTHON_INSTALL_DIR=$home/python
"$uv" venv --quiet --python 3.11 "$home/environment"
"$uv" pip install --quiet --python "$home/environment/bin/python" -r "$home/locks/pyproject.toml" --extra "$extra" \
    --extra gs --extra s3 -c "$home/locks/local.lock"
chmod -R a+rX "$home" # executors run as another user
