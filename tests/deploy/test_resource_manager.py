"""A YARN that does not answer is told before a run is submitted."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.resource_manager import resource_manager_fault, resource_managers

PROJECT = Path(__file__).resolve().parents[2]


def site(folder: Path, **settings: str) -> Path:
    """A yarn-site.xml; keywords stand for names below yarn.resourcemanager, dots as two underscores."""
    names = {name.replace("__", "."): value for name, value in settings.items()}
    rows = [
        f"<property><name>yarn.resourcemanager.{name}</name><value>{value}</value></property>"
        for name, value in names.items()
    ]
    path = folder / "yarn-site.xml"
    path.write_text(f"<configuration>{''.join(rows)}</configuration>")
    return path


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"address": "host:9032"}, [("host", 9032)]),
        ({"hostname": "host"}, [("host", 8032)]),
        ({"hostname": "host", "address": "${yarn.resourcemanager.hostname}:9032"}, [("host", 9032)]),
        (
            {"ha__rm-ids": "a, b", "hostname__a": "one", "hostname__b": "two", "address__b": "two:9032"},
            [("one", 8032), ("two", 9032)],
        ),
        ({"address": "${unknown}:8032"}, []),
        ({}, [("0.0.0.0", 8032)]),
    ],
)
def test_resource_managers__of_each_way_to_name_them(
    tmp_path: Path, settings: dict[str, str], found: list[tuple[str, int]]
):
    assert resource_managers(site(tmp_path, **settings)) == found


def test_resource_managers__no_file_and_one_that_is_none(tmp_path: Path):
    assert resource_managers(tmp_path / "yarn-site.xml") == [("0.0.0.0", 8032)]
    (tmp_path / "yarn-site.xml").write_text("<configuration>")
    assert resource_managers(tmp_path / "yarn-site.xml") == [("0.0.0.0", 8032)]


def test_resource_manager_fault__one_of_two_is_enough(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        port, dead = server.getsockname()[1], closed.getsockname()[1]
        ids = {"ha__rm-ids": "a,b", "address__a": f"127.0.0.1:{dead}"}
        site(tmp_path, **ids, address__b=f"127.0.0.1:{port}")
        assert resource_manager_fault(str(tmp_path)) is None
        path = site(tmp_path, **ids, address__b=f"127.0.0.1:{dead}")
        refused = f"127.0.0.1:{dead} (Connection refused)"
        assert resource_manager_fault(str(tmp_path)) == (
            f"{path}: yarn.resourcemanager.address: found no answer from {refused} or {refused}, "
            "wanted a ResourceManager that runs (yarn node -list), then the same command again"
        )


def test_submit_etl__a_yarn_that_is_down_is_one_sentence(tmp_path: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        site(tmp_path, address=f"127.0.0.1:{closed.getsockname()[1]}")
        done = subprocess.run(
            ["bash", "deploy/submit_etl.sh", "--master", "yarn", "conf/etl/demo.yaml", f"out={tmp_path}/out"],
            cwd=PROJECT,
            env={**os.environ, "PYTHON": sys.executable, "HADOOP_CONF_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error {tmp_path}/yarn-site.xml: yarn.resourcemanager.address: found no answer")
