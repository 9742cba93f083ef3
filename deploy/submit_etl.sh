#!/usr/bin/env bash
# Run the ETL on a Spark cluster: standalone in client mode, YARN in client and cluster mode.
#
#   deploy/submit_etl.sh [options of spark-submit] conf/etl/NAME.yaml [key=value ...]
#   deploy/submit_etl.sh --master spark://host:7077 --executor-memory 8g conf/etl/cohort.yaml profile=bipex
#   deploy/submit_etl.sh --master yarn --num-executors 20 conf/etl/cohort.yaml
#   deploy/submit_etl.sh --master yarn --deploy-mode cluster --environment hdfs:///env.tar.gz conf/etl/cohort.yaml
#
# Options of its own:
#   --environment FILE   a packed environment (deploy/pack_env.sh), a path or URL, that travels to the executors, in
#                        cluster mode also to the driver; without it they need one at PYSPARK_PYTHON
#   --log FILE           where what Spark prints goes, by default a file of this run in build/submit-etl (or /tmp)
#   --dry-run            print the command instead, once the stores have been asked
#   --help               show this
#
# PYTHON          the Python here with the etl extra, by default .venv/bin/python
# PYSPARK_PYTHON  the executors' Python, by default the same path
# SPARK_HOME      the Spark that submits, by default the one in that Python
# HADOOP_CONF_DIR where the cluster's configuration is; --master yarn needs it
#
# Jars of --jars (connectors of a store) are put on both class paths; --files and --archives go beside our own. The exit
# status is that of the run: 0, or 2 where an input is refused. A run that was interrupted goes on from its last step
# when the same command is started again; in cluster mode an interrupted script leaves the run, and says how to end it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

die() { printf 'submit_etl: %s\n' "$*" >&2; exit 2; }
usage() { sed -n '2,/^set -euo/{/^set -euo/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

options=() jars='' files='' archives='' mode=client master='' environment='' dry='' log='' work=''
value() { [ $# -ge 2 ] || die "found nothing after $1, wanted its value"; printf '%s' "$2"; }
while [ $# -gt 0 ] && [[ $1 != *.yaml && $1 != *.yml ]]; do
    case $1 in
    -h | --help) usage; exit 0 ;;
    --dry-run) dry=1 ;;
    --environment) environment=$(value "$@"); shift ;;
    --log) log=$(value "$@"); shift ;;
    --jars) jars=$(value "$@"); shift ;;
    --jars=*) jars=${1#*=} ;;
    --files) files=$(value "$@"); shift ;;
    --files=*) files=${1#*=} ;;
    --archives) archives=$(value "$@"); shift ;;
    --archives=*) archives=${1#*=} ;;
    --deploy-mode) mode=$(value "$@"); shift ;;
    --deploy-mode=*) mode=${1#*=} ;;
    --master) master=$(value "$@"); options+=("$1" "$2"); shift ;;
    --master=*) master=${1#*=}; options+=("$1") ;;
    *) options+=("$1") ;;
    esac
    shift
done
[ $# -gt 0 ] || die "found no configuration among the arguments, wanted conf/etl/NAME.yaml after spark-submit's options"
conf=$1; shift
[ -f "$conf" ] || die "found no file $conf, wanted a configuration"
[[ $mode = client || $mode = cluster ]] || die "found --deploy-mode $mode, wanted client or cluster"
[[ $mode = client || $master = yarn ]] || die "found --deploy-mode cluster with master '$master', wanted yarn: Spark runs Python there alone"
[[ $master != yarn || -n ${HADOOP_CONF_DIR:-}${YARN_CONF_DIR:-} ]] || die "found no HADOOP_CONF_DIR, wanted the folder with the cluster's core-site.xml and yarn-site.xml"
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

# Faults of the configuration, and of stores and a YARN that do not answer, are told before Spark starts.
yarn=
[[ -n $dry || $master != yarn && " ${options[*]-} " != *" spark.master=yarn "* ]] || yarn=${YARN_CONF_DIR:-${HADOOP_CONF_DIR:-}}
told=$("$python" -m deploy.submission place --mode "$mode" --yarn "$yarn" -- "$conf" "$@") || exit $?

# What executors have in their working folder: Hail's jar, and those of --jars.
beside=./hail-all-spark.jar driver_jars=$jar
IFS=, read -r -a more <<<"$jars"
for one in ${more[@]+"${more[@]}"}; do
    beside+=:./${one##*/}
    driver_jars+=:$one
done
main=$root/etl/__main__.py
settings=(
    --conf "spark.jars=$jar${jars:+,$jars}"
    --conf "spark.executor.extraClassPath=$beside"
    --conf spark.serializer=org.apache.spark.serializer.KryoSerializer
    --conf spark.kryo.registrator=is.hail.kryo.HailKryoRegistrator
    --conf spark.ui.showConsoleProgress=false
)
join() { local IFS=,; printf '%s' "$*"; }
[ -z "$environment" ] || archives=$(join "$environment#environment" ${archives:+"$archives"})
if [ "$mode" = cluster ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$python" -m deploy.submission pack "$work/exoshard.zip"
    archives=$(join "$work/exoshard.zip#exoshard" ${archives:+"$archives"})
    files=$(join "$conf" ${files:+"$files"})
    if [ -n "$environment" ]; then
        there=./environment/bin/python
        spark=./environment/lib/python3.11/site-packages/pyspark
    else
        there=$PYSPARK_PYTHON
        spark=$(package_folder pyspark)
    fi
    settings+=(
        --conf "spark.driver.extraClassPath=$beside"
        --conf "spark.yarn.appMasterEnv.PYSPARK_PYTHON=$there"
        --conf "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON=$there"
        --conf "spark.yarn.appMasterEnv.SPARK_HOME=$spark"
        --conf "spark.yarn.appMasterEnv.EXOSHARD_TOLD=$told"
        --conf "spark.executorEnv.PYSPARK_PYTHON=$there"
    )
    arguments=(run "${conf##*/}" "$@")
else
    settings+=(--conf "spark.driver.extraClassPath=$driver_jars")
    [ -z "$environment" ] || PYSPARK_PYTHON=./environment/bin/python
    arguments=(run "$conf" "$@")
fi
[ -z "$archives" ] || settings+=(--archives "$archives")
[ -z "$files" ] || settings+=(--files "$files")
command=("$SPARK_HOME/bin/spark-submit" --deploy-mode "$mode" "${settings[@]}" ${options[@]+"${options[@]}"} "$main" "${arguments[@]}")
if [ -n "$dry" ]; then
    printf '%q ' "${command[@]}"
    printf '\n'
    exit 0
fi
if [ -z "$log" ]; then
    log=$root/build/submit-etl
    mkdir -p "$log" 2>/dev/null || log=${TMPDIR:-/tmp} # an image's code is not its user's
    log+=/$(date +%Y%m%d-%H%M%S)-$$.log
fi
mkdir -p "$(dirname "$log")"
exec "$python" -m deploy.submission run --mode "$mode" --told "$told" --log "$log" --away "$work" -- "${command[@]}"
