import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import sbom
from deploy.check import cache, containers

PROJECT = Path(__file__).resolve().parents[2]
ENTRYPOINT = PROJECT / "deploy" / "kubernetes" / "entrypoint.sh"
FREE_GB = 8


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy of the checkout's images, with all that they copy."""
    for name in ("deploy", "contract", "etl", "train", "conf"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("client", ["gcsfs", "requests", "s3fs"])
def test_images__the_lock_that_both_use_has_the_stores_clients(client):
    for image in ("etl", "train"):
        assert "-c deploy/locks/local.lock" in " ".join(run_steps(image))
    assert f"\n{client}==" in (PROJECT / "deploy/locks/local.lock").read_text()


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_image_faults__ours_have_none(checkout):
    assert containers.image_faults(checkout) == []
    assert containers.copy_faults(checkout) == []


@pytest.mark.parametrize("image", ["etl", "train"])
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("USER 1000", "USER root", "USER: found root, wanted a user that is not root"),
        ("USER 1000", "USER exoshard", "USER: found exoshard, wanted a number"),
        (
            "HEALTHCHECK --interval=60s --timeout=20s --start-period=60s \\\n    CMD",
            "LABEL a=",
            "HEALTHCHECK: found none",
        ),
        ("image.licenses", "image.license", "LABEL: found no org.opencontainers.image.licenses"),
        ("deploy.sbom", "deploy.bill", "RUN: found no step that writes the list"),
        (" --extra gs", "", "RUN: found no --extra gs, wanted it where packages are installed"),
        (" --extra s3", "", "RUN: found no --extra s3, wanted it where packages are installed"),
    ],
    ids=["root", "named", "health", "label", "sbom", "gs", "s3"],
)
def test_image_faults__a_planted_fault(checkout, image, before, after, said):
    edit(checkout / f"deploy/{image}.Dockerfile", before, after)
    assert said in "\n".join(containers.image_faults(checkout))


def test_image_faults__a_base_that_no_argument_gives(checkout):
    edit(checkout / "deploy/etl.Dockerfile", "FROM ${BASE}", "FROM python:3.11")
    assert "FROM: found python:3.11, wanted an argument" in containers.image_faults(checkout)[0]


@pytest.mark.parametrize("base", ["python", "python:latest", "host:5000/python"])
def test_image_faults__a_base_without_a_version(checkout, base):
    edit(checkout / "deploy/etl.Dockerfile", "ARG BASE=python:3.11.13-slim-bookworm", f"ARG BASE={base}")
    assert "found no version, wanted a tag or a digest" in containers.image_faults(checkout)[0]


def test_copy_faults__a_file_that_is_gone(checkout):
    (checkout / "deploy/kubernetes/ssh/sshd_config").unlink()
    [fault] = containers.copy_faults(checkout)
    assert (
        fault == "deploy/train.Dockerfile: COPY: found no deploy/kubernetes/ssh/sshd_config in the checkout"
    )


def test_module_faults__what_a_script_calls_and_what_that_imports(checkout):
    assert containers.module_faults(checkout) == []
    edit(checkout / "deploy/etl.Dockerfile", "deploy/submission.py deploy/resource_manager.py ", "")
    edit(checkout / "deploy/train.Dockerfile", " deploy/gpus.py", "")
    assert containers.module_faults(checkout) == [
        "deploy/etl.Dockerfile: COPY: found no deploy/submission.py, wanted it: deploy/submit_etl.sh "
        "needs it",
        "deploy/etl.Dockerfile: COPY: found no deploy/resource_manager.py, wanted it: deploy/submission.py "
        "needs it",
        "deploy/train.Dockerfile: COPY: found no deploy/gpus.py, wanted it: deploy/submit_train.sh needs it",
    ]


def test_etl_image__its_script_s_modules_start_from_what_is_copied(tmp_path):
    for file in containers.copied(PROJECT, PROJECT / "deploy/etl.Dockerfile"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, tmp_path / file)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    words = [sys.executable, "-m", "deploy.submission", "--help"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def tool(monkeypatch):
    """Function that skips where a tool is neither on the search path nor beside the validators."""
    python = cache.validators(PROJECT)
    if python is not None:
        monkeypatch.setenv("PATH", str(python.parent), prepend=os.pathsep)

    def wanted(name: str) -> None:
        if containers.program(name) is None:
            pytest.skip(f"{name} is not installed; `make deploy-check` installs it")

    return wanted


def test_hadolint_faults__a_planted_fault(checkout, tool):
    tool("hadolint")
    edit(checkout / "deploy/etl.Dockerfile", "WORKDIR /opt/exoshard", "WORKDIR exoshard")
    assert "DL3000" in containers.hadolint_faults(checkout)[0]


def test_shell_faults__a_planted_fault(checkout, tool):
    tool("shellcheck")
    edit(
        checkout / "deploy/kubernetes/entrypoint.sh",
        '"$SPARK_HOME/bin/spark-submit"',
        "$SPARK_HOME/bin/spark-submit",
    )
    assert "SC2206" in containers.shell_faults(checkout)[0]


def test_bill__same_packages_same_order_each_once():
    components = list(sbom.parse_packages("ii \tzlib\t1.2\tamd64\nii \tbash\t5.2\tamd64\n", "deb", "debian"))
    document = sbom.bill("image", "1", [*components, *components])
    assert [one["name"] for one in document["components"]] == ["bash", "zlib"]
    assert document == sbom.bill("image", "1", components[::-1])
    assert "timestamp" not in json.dumps(document)


def test_parse_packages__removed_ones_and_keys_are_left_out():
    told = "rc \told\t1\tamd64\nii \tg++\t4:12.2\tamd64\nii \tgpg-pubkey\t1\t(none)\n"
    [only] = sbom.parse_packages(told, "deb", "debian")
    assert only["purl"] == "pkg:deb/debian/g%2B%2B@4%3A12.2?arch=amd64"


def distribution(folder: Path, name: str, lines: str) -> None:
    (folder / f"{name}-1.0.dist-info").mkdir()
    text = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{lines}\n"
    (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(text)


def test_python_components__names_and_licences(tmp_path):
    distribution(tmp_path, "Some_Package", "License-Expression: MIT")
    distribution(tmp_path, "other", "Classifier: License :: OSI Approved :: BSD License")
    distribution(tmp_path, "third", "License: long text\n  and more of it")
    found = {one["purl"]: one.get("licenses") for one in sbom.python_components([str(tmp_path)])}
    assert found == {
        "pkg:pypi/some-package@1.0": [{"expression": "MIT"}],
        "pkg:pypi/other@1.0": [{"license": {"name": "BSD License"}}],
        "pkg:pypi/third@1.0": [{"license": {"name": "long text"}}],
    }


def test_sbom__the_command_writes_what_is_installed_here(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "deploy.sbom", tmp_path / "sbom.json", "--name", "image", "--version", "1"],
        cwd=PROJECT,
        check=True,
    )
    document = json.loads((tmp_path / "sbom.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    assert "pytest" in {one["name"] for one in document["components"]}
    assert list(tmp_path.iterdir()) == [tmp_path / "sbom.json"]


@pytest.fixture
def spark(tmp_path: Path) -> dict[str, str]:
    """Environment with programs that print their arguments, one a line."""
    for name in ("spark/bin/spark-submit", "java/bin/java", "python"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n')
        path.chmod(0o755)
    return {
        "PATH": os.environ["PATH"],
        "SPARK_HOME": str(tmp_path / "spark"),
        "JAVA_HOME": str(tmp_path / "java"),
        "PYTHON": str(tmp_path / "python"),
        "HOSTNAME": "pod",
    }


EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://driver:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "4",
    "SPARK_EXECUTOR_MEMORY": "16g",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.3",
    "SPARK_APPLICATION_ID": "app",
    "SPARK_EXECUTOR_POD_NAME": "exoshard-3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
}


def entrypoint(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", ENTRYPOINT, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_entrypoint__anything_else_goes_to_the_etl(spark):
    assert entrypoint(spark, "run", "a b.yaml").stdout.splitlines()[1:] == ["-m", "etl", "run", "a b.yaml"]


def test_entrypoint__a_driver_submits_in_client_mode(spark):
    done = entrypoint(
        spark | {"SPARK_DRIVER_BIND_ADDRESS": "10.0.0.2"}, "driver", "--class", "C", "app.py", "run"
    )
    assert done.stdout.splitlines()[1:] == [
        *("--deploy-mode", "client", "--conf", "spark.driver.bindAddress=10.0.0.2"),
        *("--class", "C", "app.py", "run"),
    ]


def test_entrypoint__an_executor_with_java_options_in_their_order(spark):
    options = {f"SPARK_JAVA_OPT_{number}": f"-Dn={number} and more" for number in range(11)}
    lines = entrypoint(spark | EXECUTOR | options, "executor").stdout.splitlines()
    assert lines[1:12] == [f"-Dn={number} and more" for number in range(11)]
    assert lines[12:14] == ["-Xms16g", "-Xmx16g"]
    assert lines[15] == f"{spark['SPARK_HOME']}/conf:{spark['SPARK_HOME']}/jars/*"
    assert lines[-4:] == ["--resourceProfileId", "0", "--podName", "exoshard-3"]


def test_entrypoint__extra_places_come_before_spark_s_own(spark):
    more = {"SPARK_EXTRA_CLASSPATH": "/jars/*", "SPARK_CONF_DIR": "/opt/spark/conf"}
    lines = entrypoint(spark | EXECUTOR | more, "executor").stdout.splitlines()
    assert lines[lines.index("-cp") + 1] == f"/opt/spark/conf:/jars/*:{spark['SPARK_HOME']}/jars/*"


def test_entrypoint__an_executor_without_its_driver(spark):
    done = entrypoint(spark | EXECUTOR | {"SPARK_DRIVER_URL": ""}, "executor")
    assert done.returncode == 2
    assert done.stderr == "entrypoint: found no SPARK_DRIVER_URL, which Spark sets for executor pods\n"


def run_steps(image: str) -> list[str]:
    """The shell text of an image's RUN instructions."""
    found = containers.instructions((PROJECT / f"deploy/{image}.Dockerfile").read_text())
    return [text for name, text in found if name == "RUN"]


def pip_setting(name: str) -> str:
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def bare_environment(folder: Path) -> dict[str, str]:
    """A new Python and an empty home; of this user's settings only where packages come from."""
    (folder / "home").mkdir()
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    kept = {
        name: text
        for name, text in os.environ.items()
        if re.match(r"(PIP|UV|SSL|REQUESTS)_|HTTPS?_PROXY$", name)
    }
    links = os.environ.get("PIP_FIND_LINKS") or pip_setting("find-links")
    index = os.environ.get("PIP_INDEX_URL") or pip_setting("index-url")
    return {
        **kept,
        **({"UV_FIND_LINKS": links} if links else {}),
        **({"UV_DEFAULT_INDEX": index} if index else {}),
        "HOME": str(folder / "home"),
        "PATH": f"{folder / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "UV_PYTHON": str(folder / "venv" / "bin" / "python"),
        "PYTHONPATH": str(PROJECT),
    }


def python_steps(text: str) -> list[str]:
    """Those commands of a RUN instruction that install Python packages."""
    return [part.strip() for part in text.split("&&") if re.match(r"\s*(uv )?pip install", part)]


def shell(command: str, environment: dict[str, str], folder: Path = PROJECT) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="this Python is not 3.11")
def test_etl_image__its_python_steps_run_in_a_bare_environment(tmp_path):
    if shutil.disk_usage(tmp_path).free < FREE_GB * 1e9:
        pytest.skip(f"less than {FREE_GB} GB are free")
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    environment = bare_environment(tmp_path)
    install, links, listing = run_steps("etl")
    for command in python_steps(install):
        shell(command.replace("--system ", ""), environment)
    opt = tmp_path / "opt"
    (opt / "exoshard").mkdir(parents=True)
    shell(links.replace("/opt/", f"{opt}/"), environment, opt / "exoshard")
    shell(
        listing.partition("&&")[0].replace("sbom.json", f"{tmp_path}/sbom.json"),
        environment | {"VERSION": "1"},
    )
    names = {one["name"] for one in json.loads((tmp_path / "sbom.json").read_text())["components"]}
    assert {"hail", "pyspark", "gcsfs", "s3fs"} <= names
    assert not {"torch", "petastorm"} & names
    environment |= {"SPARK_HOME": f"{opt}/spark", "JAVA_HOME": f"{opt}/java"}
    assert "Usage" in shell(f"bash {ENTRYPOINT} --help", environment)
    # Spark's own program for pods starts and asks for its driver.
    environment |= EXECUTOR | {
        "SPARK_DRIVER_URL": "spark://nobody@127.0.0.1:1",
        "SPARK_EXECUTOR_MEMORY": "256m",
    }
    done = subprocess.run(
        ["bash", ENTRYPOINT, "executor"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "KubernetesExecutorBackend" in done.stdout + done.stderr
    assert "127.0.0.1:1" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="this Python is not 3.11")
def test_train_image__its_python_steps_resolve_in_a_bare_environment(tmp_path):
    environment = bare_environment(tmp_path)
    install = next(text for text in run_steps("train") if "uv pip install" in text)
    bootstrap, packages = python_steps(install)
    shell(bootstrap, environment)
    packages = packages.replace("/opt/venv/bin/python", environment["UV_PYTHON"])
    said = shell(f"{packages} --dry-run", environment)
    assert "torch==2.13.0" in said
    assert re.search(r" gcsfs==.* s3fs==", said, re.DOTALL)
    assert "petastorm==0.12.1" in said
    assert not re.search(r" hail==", said)
