"""Stores of this machine: HDFS, an S3 and a GCS server."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """HDFS, an S3 and a GCS server; this process finds them by its environment too.

    EXOSHARD_MINICLUSTER names the folder of one that is up: it is used, and left up.
    """
    from deploy.minicluster import cluster as minicluster
    from deploy.minicluster.services import find_tools, left_out, sentences
    from deploy.minicluster.store import cache_folder, cached_parts

    wanted = ("hdfs", "s3", "gcs")
    lacking = left_out(wanted, find_tools(), cached_parts(cache_folder()))
    if lacking:
        pytest.skip(" ".join(sentences(lacking)))
    given = os.environ.get("EXOSHARD_MINICLUSTER")
    folder = Path(given or tmp_path_factory.mktemp("stores"))
    state = minicluster.read_state(folder) if given else minicluster.start(folder, wanted)
    before = dict(os.environ)
    _forget_clients()
    for store in ("hdfs", "s3a", "gcs"):
        os.environ.update(minicluster.environment(state, store))
    yield state
    os.environ.clear()
    os.environ.update(before)
    _forget_clients()
    if not given:
        minicluster.stop(folder)


def _forget_clients() -> None:
    """fsspec keeps clients, with the addresses that the environment had when they were made."""
    for name in ("s3", "gs"):
        fsspec.get_filesystem_class(name).clear_instance_cache()
