"""The parts of HDFS from Python that need no HDFS; tests/etl/stores has a real one."""

import json
from pathlib import Path

import pytest
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow.fs import LocalFileSystem

requests = pytest.importorskip("requests")  # of the extra `hdfs`, which contract.hdfs imports

from contract import hdfs  # noqa: E402
from contract.errors import InputError  # noqa: E402
from contract.hdfs import PassingError, WholeWrites, hadoop_settings, named_namenode, namenode_addresses  # noqa: E402
from contract.storage import open_storage  # noqa: E402

HA = {
    "dfs.ha.namenodes.prod": "nn1, nn2",
    "dfs.namenode.rpc-address.prod.nn1": "a.example:8020",
    "dfs.namenode.rpc-address.prod.nn2": "b.example:8020",
    "dfs.namenode.http-address.prod.nn2": "b.example:50070",
}


@pytest.mark.parametrize(
    ("authority", "settings", "addresses"),
    [
        ("nn:8020", {}, ["nn:9870"]),
        ("nn", {"dfs.http.policy": "HTTPS_ONLY"}, ["nn:9871"]),
        ("nn:8020", {"dfs.namenode.http-address": "0.0.0.0:50070"}, ["nn:50070"]),
        (
            "nn:8020",
            {"dfs.namenode.http-address": "web:50070", "fs.defaultFS": "hdfs://nn:8020"},
            ["web:50070"],
        ),
        (
            "other:8020",
            {"dfs.namenode.http-address": "web:1", "fs.defaultFS": "hdfs://nn:8020"},
            ["other:9870"],
        ),
        ("prod", HA, ["a.example:9870", "b.example:50070"]),
    ],
)
def test_namenode_addresses__of_a_host_or_a_name_service(
    authority: str, settings: dict, addresses: list[str]
):
    assert namenode_addresses(authority, settings) == addresses


def site(folder: Path, **settings: str) -> Path:
    folder.mkdir(parents=True)
    items = "".join(
        f"<property><name> {name.replace('_', '.')} </name><value>{value}</value></property>"
        for name, value in settings.items()
    )
    (folder / "core-site.xml").write_text(f"<configuration>{items}</configuration>")
    return folder


def test_hadoop_settings__of_the_first_folder_that_has_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("HADOOP_HOME", str(tmp_path / "home"))
    site(tmp_path / "home/etc/hadoop", fs_defaultFS="hdfs://nn:8020", a="1")
    assert hadoop_settings() == {"fs.defaultFS": "hdfs://nn:8020", "a": "1"}
    assert named_namenode("hdfs:///x") == ("nn", 8020)


def test_named_namenode__none_of_a_name_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(site(tmp_path / "conf", dfs_ha_namenodes_prod="nn1,nn2")))
    assert named_namenode("hdfs://prod/x") is None
    assert named_namenode("hdfs://other:9000/x") == ("other", 9000)
    assert named_namenode("hdfs://other/x") == ("other", 8020)


def test_open_storage__no_host_and_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    monkeypatch.delenv("HADOOP_HOME", raising=False)
    with pytest.raises(
        InputError, match=r"hdfs:///x: URL: .*no core-site.xml in HADOOP_CONF_DIR that names one"
    ):
        open_storage("hdfs:///x")


def answer(status: int, kind: str = "", message: str = "") -> requests.Response:
    found = requests.Response()
    found.status_code, found.reason = status, "Reason"
    if kind:
        found._content = json.dumps({"RemoteException": {"exception": kind, "message": message}}).encode()
    else:
        found._content = b"<html>"
    return found


@pytest.mark.parametrize(
    ("refused", "kind", "words"),
    [
        (answer(404, "FileNotFoundException", "gone"), FileNotFoundError, "no such file"),
        (
            answer(403, "AccessControlException", "Permission denied: user=x\n\tat"),
            PermissionError,
            "user=x: ",
        ),
        (answer(403, "FileAlreadyExistsException", "is there"), FileExistsError, "is there"),
        (answer(403, "IOException", "rename destination /x already exists"), FileExistsError, "exists"),
        (answer(403, "StandbyException", "Operation READ"), PassingError, "Operation READ"),
        (answer(403, "SafeModeException", "Name node is in safe mode."), OSError, "in safe mode"),
        (answer(403, "DSQuotaExceededException", "quota of /a is exceeded"), OSError, "quota of /a"),
        (answer(503), PassingError, "503 Reason"),
        (answer(401), OSError, "401 Reason"),
    ],
)
def test_raise_for__hdfs_s_words_as_python_s_errors(refused: requests.Response, kind: type, words: str):
    with pytest.raises(OSError, match=words) as caught:
        hdfs._raise_for(refused, "/x")
    assert type(caught.value) is kind


def test_raise_for__an_answer_is_given_back():
    assert hdfs._raise_for(answer(200), "/x").status_code == 200


@pytest.fixture
def arrow() -> ArrowFSWrapper:
    return WholeWrites(LocalFileSystem())


def test_whole_writes__create_only_where_there_is_none(arrow: ArrowFSWrapper, tmp_path: Path):
    place = f"{tmp_path}/deep/lock"
    arrow.pipe_file(place, b"one", mode="create")
    with pytest.raises(FileExistsError):
        arrow.pipe_file(place, b"two", mode="create")
    assert (tmp_path / "deep/lock").read_bytes() == b"one"
    arrow.pipe_file(place, b"three")
    assert (tmp_path / "deep/lock").read_bytes() == b"three"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["lock"]


def test_whole_writes__of_two_who_create_at_once_one_has_it(
    arrow: ArrowFSWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / "lock"

    def other_comes(seconds: float) -> None:
        place.write_bytes(b"two")

    monkeypatch.setattr(hdfs.time, "sleep", other_comes)
    with pytest.raises(FileExistsError):
        arrow.pipe_file(str(place), b"one", mode="create")
    assert place.read_bytes() == b"two"


def test_whole_writes__a_write_that_fails_leaves_the_old_file(
    arrow: ArrowFSWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "file").write_bytes(b"old")

    def broken(self: object, lpath: str, rpath: str) -> None:
        Path(rpath).write_bytes(b"n")
        raise OSError("lost")

    with monkeypatch.context() as patched:
        patched.setattr(ArrowFSWrapper, "put_file", broken)
        with pytest.raises(OSError, match="lost"):
            arrow.put_file(str(tmp_path / "new"), f"{tmp_path}/file")
    assert (tmp_path / "file").read_bytes() == b"old"
    arrow.put_file(str(tmp_path / "new"), f"{tmp_path}/file")
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == [
        ("file", b"new"),
        ("new", b"new"),
    ]
