import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = PROJECT / "deploy" / "locks"
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(\[[a-z0-9,_-]+\])?==(?P<version>[0-9][^ ;]*)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(lock: str) -> dict[str, str]:
    """Version by package of a lock file."""
    lines = (LOCKS / lock).read_text().splitlines()
    return {match["name"]: match["version"] for line in lines if (match := PIN.match(line))}


def wanted() -> list[Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    exact = [line for line in (LOCKS / "local.in").read_text().splitlines() if line and line[0] != "#"]
    found = [Requirement(line) for line in [*chain.from_iterable(groups), *exact]]
    return [requirement for requirement in found if requirement.name != project["name"]]


@pytest.mark.parametrize("lock", ["local.lock", "bootstrap.lock", "gpu.lock", "next.lock", "check.lock"])
def test_lock__holds_pins_with_hashes_and_nothing_else(lock):
    hashes_of_last = 1
    for number, line in enumerate((LOCKS / lock).read_text().splitlines(), start=1):
        if PIN.match(line):
            assert hashes_of_last > 0, f"{lock}:{number}: the pin before this line has no hash"
            hashes_of_last = 0
        elif HASH.match(line.strip()):
            hashes_of_last += 1
        else:
            assert line.startswith("# "), f"{lock}:{number}: neither a pin nor a hash: {line}"
            assert "/" not in line
    assert hashes_of_last > 0


def test_local_lock__torch_is_pinned_without_a_local_version():
    assert pins("local.lock")["torch"] == "2.13.0"


def test_local_lock__leaves_cuda_libraries_to_the_installation():
    assert not [name for name in pins("local.lock") if name.startswith(("nvidia", "cuda", "triton"))]


def test_gpu_lock__newer_numpy_and_torch_without_what_holds_them_back():
    found = pins("gpu.lock")
    assert int(found["numpy"].split(".")[0]) >= 2
    assert Version(found["torch"]) > Version(pins("local.lock")["torch"])
    assert int(found["pyarrow"].split(".")[0]) > 14
    assert not {"petastorm", "horovod", "pyspark", "hail"} & set(found)


def test_next_lock__newer_hail_and_numpy_on_the_spark_that_hail_takes():
    found = pins("next.lock")
    assert Version(found["hail"]) > Version(pins("local.lock")["hail"])
    assert found["pyspark"].startswith("3.5.")
    assert (Version(found["numpy"]).major, Version(found["pandas"]).major) == (2, 2)
    assert not {"petastorm", "horovod", "torch"} & set(found)


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_local_lock__satisfies_what_the_project_asks_for(requirement):
    version = pins("local.lock")[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True)
