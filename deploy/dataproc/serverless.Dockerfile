# The ETL's image as Serverless for Spark takes it: the service brings Spark and Java, and runs all as user 1099.
#   docker build -f deploy/etl.Dockerfile -t exoshard-etl .
#   docker build -f deploy/dataproc/serverless.Dockerfile -t REGION-docker.pkg.dev/PROJECT/REPOSITORY/exoshard-etl:TAG .
ARG ETL_IMAGE=exoshard-etl
# hadolint ignore=DL3006
FROM ${ETL_IMAGE}

# hadolint ignore=DL3002
USER root
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libjemalloc2 procps tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1099 spark \
    && useradd --create-home --uid 1099 --gid 1099 spark

# The packages travel with each job.
ENV PYTHONPATH= \
    PYSPARK_PYTHON=/usr/local/bin/python \
    SPARK_EXTRA_CLASSPATH=/usr/local/lib/python3.11/site-packages/hail/backend/hail-all-spark.jar
USER spark
ENTRYPOINT []
CMD []
