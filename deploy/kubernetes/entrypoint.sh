#!/usr/bin/env bash
# What a container of the ETL's image runs. Spark on Kubernetes starts its pods with `driver` or `executor` and tells
# the rest by environment variables; pip's Spark has no such script. Anything else goes to `python -m etl`.
set -euo pipefail

die() { printf 'entrypoint: %s\n' "$*" >&2; exit 2; }

need() {
    local name
    for name in "$@"; do [ -n "${!name:-}" ] || die "found no $name, which Spark sets for $role pods"; done
}

role=${1:-}
case "$role" in
    driver)
        need SPARK_DRIVER_BIND_ADDRESS
        shift
        command=("$SPARK_HOME/bin/spark-submit" --deploy-mode client
            --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" "$@") ;;
    executor)
        need SPARK_DRIVER_URL SPARK_EXECUTOR_ID SPARK_EXECUTOR_CORES SPARK_EXECUTOR_MEMORY SPARK_EXECUTOR_POD_IP \
            SPARK_APPLICATION_ID
        shift
        # Java's options come one to a variable, numbered from SPARK_JAVA_OPT_0; an option may have blanks.
        java_options=()
        for ((number = 0; ; number++)); do
            option=SPARK_JAVA_OPT_$number
            [ -n "${!option:-}" ] || break
            java_options+=("${!option}")
        done
        class_path=${SPARK_CONF_DIR:-$SPARK_HOME/conf}:${HADOOP_CONF_DIR:+$HADOOP_CONF_DIR:}
        class_path+=${SPARK_CLASSPATH:+$SPARK_CLASSPATH:}${SPARK_EXTRA_CLASSPATH:+$SPARK_EXTRA_CLASSPATH:}
        class_path+="$SPARK_HOME/jars/*" # Java's own wildcard
        command=("$JAVA_HOME/bin/java" ${java_options[@]+"${java_options[@]}"}
            "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$class_path"
            org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend
            --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES"
            --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP"
            --resourceProfileId "${SPARK_RESOURCE_PROFILE_ID:-0}" --podName "${SPARK_EXECUTOR_POD_NAME:-$HOSTNAME}") ;;
    *) command=("${PYTHON:-python}" -m etl "$@") ;;
esac

# As the first process of a container, tini collects children that ended: Spark's Python workers are many.
if [ $$ -eq 1 ] && command -v tini >/dev/null; then exec tini -s -- "${command[@]}"; fi
exec "${command[@]}"
