"""What is asked of the minicluster and what this machine lacks for it; its parts and their sums."""

import hashlib
from pathlib import Path

import pytest

from contract.errors import InputError
from deploy.minicluster import cluster, services, store
from deploy.minicluster.cluster import Size
from deploy.minicluster.errors import ClusterError, FetchError, first_error, last_error
from deploy.minicluster.services import Tools
from tests.deploy.services_played import NOTHING, run_command

# What is asked for, and what this machine lacks


def test_chosen__all_some_and_what_yarn_brings_along():
    assert services.chosen(None) == ("hdfs", "yarn", "s3", "gcs")
    assert services.chosen("gcs, s3") == ("s3", "gcs")
    assert services.chosen("yarn") == ("hdfs", "yarn")


@pytest.mark.parametrize(("only", "found"), [("s3,hive,ozone", "hive, ozone"), ("", "nothing")])
def test_chosen__unknown_service_told(only: str, found: str):
    with pytest.raises(InputError, match=f"--only: found {found}, wanted some of hdfs, yarn, s3, gcs"):
        services.chosen(only)


def test_size__nothing_of_something_told():
    with pytest.raises(InputError, match="datanodes: found 0, wanted a whole number of at least 1"):
        Size(datanodes=0)


def test_left_out__each_tool_in_one_sentence_with_its_checks():
    java, maven, go = Path("java"), Path("mvn"), Path("go")
    everything = services.SERVICES

    def told(tools: Tools, cached: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
        return services.sentences(services.left_out(everything, tools, cached))

    assert told(Tools(java, maven, go)) == []
    assert told(Tools(java, None, go)) == [
        "Maven was not found on this machine: checks of HDFS, YARN, Spark's S3A connector and Spark's GCS"
        " connector are left out."
    ]
    assert told(Tools(java, maven, None)) == [
        "Go was not found on this machine: checks of the S3 server and the GCS server are left out."
    ]
    assert [sentence.split(" was ")[0] for sentence in told(NOTHING)] == ["Java 11 or 17", "Go"]
    assert told(Tools(java, None, None), set(store.PARTS)) == []


def test_command__unknown_service_has_status_2():
    done = run_command("up", "--only", "hive")
    assert done.returncode == 2
    assert done.stderr == "minicluster: --only: found hive, wanted some of hdfs, yarn, s3, gcs\n"


def test_command__no_cluster_has_status_2(tmp_path: Path):
    done = run_command("status", "--folder", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"{tmp_path}/state.json: file: found nothing, wanted the state of a cluster"
    )


def test_command__nothing_to_start_with(tmp_path: Path):
    done = run_command(
        "up", "--only", "s3", "--folder", str(tmp_path / "c"), EXOSHARD_CACHE=str(tmp_path), PATH="/nowhere"
    )
    assert done.returncode == 1
    assert "Go was not found on this machine: checks of the S3 server are left out." in done.stdout
    assert done.stderr == "minicluster: Nothing can be started.\n"


def test_command__what_can_not_be_fetched_is_left_out(tmp_path: Path):
    done = run_command("fetch", "--only", "hdfs,s3", EXOSHARD_CACHE=str(tmp_path), PATH="/nowhere")
    assert done.returncode == 0, done.stderr
    assert "Go was not found on this machine: checks of the S3 server are left out." in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_fetch__brings_what_is_lacking_and_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EXOSHARD_CACHE", str(tmp_path))
    monkeypatch.setattr(cluster, "find_tools", lambda: Tools(*[Path("/usr/bin/true")] * 3))
    monkeypatch.setattr(store, "cached_parts", lambda _: {"jars/hadoop"})
    brought: list[str] = []
    monkeypatch.setattr(store, "fetch", lambda cache, part, tools: brought.append(part))
    monkeypatch.setattr(store, "jars", lambda *_: [])
    monkeypatch.setattr(cluster, "_launched", None)
    cluster.fetch(("hdfs", "yarn", "s3"), lambda _: None)
    assert brought == ["bin/s3", "jars/s3a"]


# Parts and their sums


def test_check_jars__pinned_and_other_sums(tmp_path: Path):
    sums, folder = tmp_path / "jars.sha256", tmp_path / "jars"
    folder.mkdir()
    jar = folder / "a-1.jar"
    jar.write_bytes(b"classes")
    sums.write_text(f"{hashlib.sha256(b'classes').hexdigest()}  a-1.jar\n")
    store.check_jars(folder, sums)
    jar.write_bytes(b"other classes")
    with pytest.raises(
        ClusterError, match=r"a-1\.jar: its SHA-256 is [0-9a-f]{64}, jars\.sha256 wants [0-9a-f]{64}"
    ):
        store.check_jars(folder, sums)
    jar.write_bytes(b"classes")
    (folder / "stranger.jar").touch()
    with pytest.raises(ClusterError, match=r"stranger\.jar: .* jars\.sha256 wants no such jar"):
        store.check_jars(folder, sums)


def test_pinned_sums__format_of_sha256sum_with_file_names_alone():
    lines = (store.HERE / "jars.sha256").read_text().splitlines()
    names = [line.split("  ")[1] for line in lines]
    assert all(len(line.split("  ")[0]) == 64 for line in lines)
    assert len(names) == len(set(names))
    assert not [name for name in names if "/" in name or not name.endswith(".jar")]
    assert {"hadoop-common-3.3.4.jar", "hadoop-aws-3.3.4.jar", "aws-java-sdk-bundle-1.12.262.jar"} < set(
        names
    )


def fake_tool(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_fetch__an_unpinned_jar_leaves_nothing(tmp_path: Path):
    script = 'for word in "$@"; do case $word in -DoutputDirectory=*) touch "${word#*=}/new.jar";; esac; done'
    java = fake_tool(tmp_path, "java", "echo '    java.home = /somewhere' >&2")
    tools = Tools(java=java, maven=fake_tool(tmp_path, "mvn", script), go=None)
    with pytest.raises(ClusterError, match=r"new\.jar: its SHA-256 is"):
        store.fetch(tmp_path / "cache", "jars/gcs", tools)
    assert store.cached_parts(tmp_path / "cache") == set()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".jars-gcs.lock"]


def test_fetch__the_first_error_of_the_tool_is_told(tmp_path: Path):
    maven = fake_tool(
        tmp_path, "mvn", "echo '[ERROR] no route to jars'; echo '[ERROR] Re-run with -X'; exit 1"
    )
    java = fake_tool(tmp_path, "java", "echo '    java.home = /somewhere' >&2")
    with pytest.raises(FetchError, match=r"^Maven failed: \[ERROR\] no route to jars$"):
        store.fetch(tmp_path / "cache", "jars/gcs", Tools(java=java, maven=maven, go=None))


def test_fetch__a_part_is_made_once_and_whole(tmp_path: Path):
    script = f'echo made >>{tmp_path}/log; while [ "$1" != -o ]; do shift; done; touch "$2/fake-gcs-server"'
    tools = Tools(java=None, maven=None, go=fake_tool(tmp_path, "go", script))
    cache = tmp_path / "cache"
    (cache / "bin" / "gcs").mkdir(parents=True)  # of a fetch that was killed before its mark
    for _ in range(2):
        store.fetch(cache, "bin/gcs", tools)
    assert (tmp_path / "log").read_text() == "made\n"
    assert store.cached_parts(cache) == {"bin/gcs"}
    assert Path(store.program(cache, "gcs")).exists()


def test_cache_folder__variables_in_order(monkeypatch: pytest.MonkeyPatch):
    key = store.cache_folder({"EXOSHARD_CACHE": "/e", "XDG_CACHE_HOME": "/x"}).name
    assert (
        store.cache_folder({"EXOSHARD_CACHE": "/e", "XDG_CACHE_HOME": "/x"}) == Path("/e/minicluster") / key
    )
    assert store.cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/exoshard/minicluster") / key
    monkeypatch.setattr(store, "PINNED", store.PINNED[:-1])
    assert store.cache_folder({"EXOSHARD_CACHE": "/e"}).name != key


def test_errors__the_line_that_says_why():
    log = "INFO starting\njava.net.BindException: in use\n  at org.X.Exception(Y)\nINFO SHUTDOWN_MSG\n"
    assert last_error(log) == "java.net.BindException: in use"
    assert first_error("go: downloading\ngo: no such version\n") == "go: no such version"
    broken = "verifying mux@v1: checksum mismatch\n\nSECURITY ERROR\nsee 'go help module-auth'."
    assert first_error(broken) == "verifying mux@v1: checksum mismatch"
    assert [last_error(""), first_error("")] == ["its log is empty", "it printed nothing"]
