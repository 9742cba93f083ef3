# The ETL: driver and executors on any Spark cluster, or all of it in one container.
#   docker build -f deploy/etl.Dockerfile -t exoshard-etl .
FROM python:3.11.13-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/opt/exoshard
WORKDIR /opt/exoshard

# annoy, which Hail's helper library asks for, comes as source only; procps is what Spark's scripts call.
COPY deploy/locks/bootstrap.lock deploy/locks/local.lock deploy/locks/
COPY pyproject.toml ./
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ procps \
    && pip install --no-cache-dir --require-hashes -r deploy/locks/bootstrap.lock \
    && uv pip install --system --no-cache -r pyproject.toml --extra etl -c deploy/locks/local.lock \
    && apt-get purge -y --auto-remove g++ \
    && rm -rf /var/lib/apt/lists/*

COPY contract contract
COPY etl etl
COPY conf conf
COPY deploy/submit_etl.sh deploy/

RUN useradd --create-home --uid 1000 exoshard
USER 1000
ENV PYTHON=/usr/local/bin/python
ENTRYPOINT ["python", "-m", "etl"]
CMD ["--help"]
