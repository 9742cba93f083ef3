# Training on CUDA GPUs: torch with its CUDA 13 libraries, Horovod with NCCL.
#   docker build -f deploy/train.Dockerfile -t exoshard-train .
FROM nvidia/cuda:13.0.1-devel-rockylinux9 AS build

ENV PATH=/opt/venv/bin:$PATH EXOSHARD_CACHE=/var/tmp/exoshard
WORKDIR /opt/exoshard

# hadolint ignore=DL3041
RUN dnf install -y gcc-c++ make python3.11 python3.11-devel && dnf clean all
COPY deploy/locks/bootstrap.lock deploy/locks/local.lock deploy/locks/
COPY pyproject.toml ./
RUN python3.11 -m venv /opt/venv \
    && pip install --no-cache-dir --require-hashes -r deploy/locks/bootstrap.lock \
    && uv pip install --no-cache --python /opt/venv/bin/python \
        -r pyproject.toml --extra train cffi cmake setuptools wheel -c deploy/locks/local.lock

# NCCL comes with torch: Horovod links against the same library instead of a copy of its own.
COPY deploy/horovod deploy/horovod
ENV HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_NCCL_LINK=SHARED HOROVOD_BUILD_CUDA_CC_LIST=80,90
RUN deploy/horovod/build.sh /opt/venv/bin/python

FROM nvidia/cuda:13.0.1-base-rockylinux9

# gcc-c++ is for run.compile: torch calls a compiler in the first step.
# hadolint ignore=DL3041
RUN dnf install -y gcc-c++ openssh-clients python3.11 python3.11-devel && dnf clean all && useradd --create-home --uid 1000 exoshard
COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH PYTHON=/opt/venv/bin/python PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/exoshard
WORKDIR /opt/exoshard
COPY contract contract
COPY train train
COPY conf conf
COPY deploy/submit_train.sh deploy/

USER 1000
ENTRYPOINT ["python", "-m", "train"]
CMD ["--help"]
