# Training: on CUDA GPUs (torch with its CUDA 13 libraries, Horovod with NCCL), or on CPUs.
#   docker build -f deploy/train.Dockerfile -t exoshard-train .
#   docker build -f deploy/train.Dockerfile -t exoshard-train:cpu --build-arg VARIANT=cpu .
# UV_FIND_LINKS: a page of torch's CPU builds, which are gigabytes smaller; without it the CPU image has the registry's
# torch too. A digest pins a base for good: --build-arg CPU_BASE=rockylinux/rockylinux:9.6@sha256:DIGEST, and so on;
# `docker buildx imagetools inspect NAME:TAG` prints the present one.
ARG VARIANT=cuda
ARG CUDA_BUILD_BASE=nvidia/cuda:13.0.1-devel-rockylinux9
ARG CUDA_RUN_BASE=nvidia/cuda:13.0.1-base-rockylinux9
ARG CPU_BASE=rockylinux/rockylinux:9.6

FROM ${CUDA_BUILD_BASE} AS build-cuda
# NCCL comes with torch: Horovod links against the same library instead of a copy of its own.
ENV HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_NCCL_LINK=SHARED HOROVOD_BUILD_CUDA_CC_LIST=80,90

FROM ${CPU_BASE} AS build-cpu

# hadolint ignore=DL3006
FROM build-${VARIANT} AS build
ENV PATH=/opt/venv/bin:$PATH EXOSHARD_CACHE=/var/tmp/exoshard
WORKDIR /opt/exoshard

# hadolint ignore=DL3041
RUN dnf install -y gcc-c++ make python3.11 python3.11-devel && dnf clean all
COPY deploy/locks/bootstrap.lock deploy/locks/local.lock deploy/locks/
COPY pyproject.toml ./
ARG UV_FIND_LINKS
RUN python3.11 -m venv /opt/venv \
    && pip install --no-cache-dir --require-hashes -r deploy/locks/bootstrap.lock \
    && uv pip install --no-cache --python /opt/venv/bin/python \
        -r pyproject.toml --extra train --extra gs --extra hdfs --extra s3 cffi cmake setuptools wheel \
        -c deploy/locks/local.lock
COPY deploy/horovod deploy/horovod
RUN deploy/horovod/build.sh /opt/venv/bin/python

FROM ${CUDA_RUN_BASE} AS run-cuda
FROM ${CPU_BASE} AS run-cpu

# hadolint ignore=DL3006
FROM run-${VARIANT}
# gcc-c++ is for run.compile: torch calls a compiler in the first step. openssh and procps are for an MPIJob.
# hadolint ignore=DL3041
RUN dnf install -y gcc-c++ openssh-clients openssh-server procps-ng python3.11 python3.11-devel \
    && dnf clean all \
    && useradd --create-home --uid 1000 exoshard \
    && mkdir --mode=700 /home/exoshard/.ssh \
    && chown 1000:1000 /home/exoshard/.ssh
COPY deploy/kubernetes/ssh/sshd_config /home/exoshard/.sshd_config
COPY deploy/kubernetes/ssh/ssh_config /etc/ssh/ssh_config.d/10-exoshard.conf
COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH PYTHON=/opt/venv/bin/python PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/exoshard
WORKDIR /opt/exoshard
COPY contract contract
COPY train train
COPY conf conf
COPY deploy/submit_train.sh deploy/sbom.py deploy/gpus.py deploy/

ARG VARIANT
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="exoshard-train" \
    org.opencontainers.image.description="Training on a dataset, with PyTorch and Horovod (${VARIANT})" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN python -m deploy.sbom sbom.json --name "exoshard-train-${VARIANT}" --version "${VERSION}"

USER 1000
# Ranks of a host share data through this folder; a run that lost it or filled it can't go on.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s \
    CMD ["python", "-c", "import tempfile; tempfile.TemporaryFile(dir='/dev/shm').write(bytes(65536))"]
ENTRYPOINT ["python", "-m", "train"]
CMD ["--help"]
