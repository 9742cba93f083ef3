#!/usr/bin/env bash
# Run the ETL on a Spark cluster, in client mode.
#
#   deploy/submit_etl.sh [options of spark-submit] conf/etl/NAME.yaml [key=value ...]
#   deploy/submit_etl.sh --master spark://host:7077 --executor-memory 8g conf/etl/cohort.yaml profile=bipex
#
# PYTHON          the driver's Python with the etl extra, by default .venv/bin/python
# PYSPARK_PYTHON  the executors' Python, by default the same path
# SPARK_HOME      the cluster's own Spark, by default the one in that Python
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

die() { printf 'submit_etl: %s\n' "$*" >&2; exit 2; }

options=()
while [ $# -gt 0 ] && [[ $1 != *.yaml && $1 != *.yml ]]; do options+=("$1"); shift; done
[ $# -gt 0 ] || die "found no configuration among the arguments, wanted conf/etl/NAME.yaml after spark-submit's options"
[[ ! " ${options[*]-} " =~ --deploy-mode[=\ ]cluster\  ]] || die "found --deploy-mode cluster, wanted client: the run reads conf/ here"
[ -x "$python" ] || die "found no Python at $python, wanted one with the etl extra; run make setup or set PYTHON"

package_folder() { "$python" -c "import importlib.util as u; print(u.find_spec('$1').submodule_search_locations[0])"; }
jar=$(package_folder hail)/backend/hail-all-spark.jar
[ -f "$jar" ] || die "found no $jar, wanted Hail's jar in the package of $python"
java=$(cd "$root" && "$python" -c 'from etl.session import use_java; print(use_java())')
java=$(readlink -f "$java")

export JAVA_HOME=${java%/bin/java}
export SPARK_HOME=${SPARK_HOME:-$(package_folder pyspark)}
export PYSPARK_DRIVER_PYTHON=$python
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$python}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

# Hail refuses a session without its serialiser. Executors get the jar from the driver, into their working directory.
exec "$SPARK_HOME/bin/spark-submit" \
    --conf spark.jars="$jar" \
    --conf spark.driver.extraClassPath="$jar" \
    --conf spark.executor.extraClassPath=./hail-all-spark.jar \
    --conf spark.serializer=org.apache.spark.serializer.KryoSerializer \
    --conf spark.kryo.registrator=is.hail.kryo.HailKryoRegistrator \
    --conf spark.ui.showConsoleProgress=false \
    ${options[@]+"${options[@]}"} \
    "$root/etl/__main__.py" run "$@"
