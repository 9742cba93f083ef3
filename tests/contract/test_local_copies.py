import os
from pathlib import Path

import pytest

from contract.local_copies import local_copy, shared_copy
from contract.storage import StorageError, write_whole


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_local_copy__lives_as_long_as_the_block():
    write_whole("memory://copies/calls.bcf", b"calls")
    with local_copy("memory://copies/calls.bcf") as path:
        assert Path(path).read_bytes() == b"calls"
    assert not Path(path).exists()


def test_copies__a_file_of_this_machine_is_itself(temporary: Path):
    (temporary / "a.fa").write_text(">1\n")
    with local_copy(str(temporary / "a.fa")) as path:
        assert path == shared_copy(str(temporary / "a.fa")) == str(temporary / "a.fa")


def test_shared_copy__one_for_all_with_what_lies_beside():
    write_whole("memory://copies/a.fa", b">1\nACGT\n")
    write_whole("memory://copies/a.fa.fai", b"1\t4\t3\t4\t5\n")
    first = shared_copy("memory://copies/a.fa", ".fai", ".gzi")
    assert sorted(path.name for path in Path(first).parent.iterdir()) == ["a.fa", "a.fa.fai"]
    assert shared_copy("memory://copies/a.fa", ".fai", ".gzi") == first


def test_shared_copy__a_file_that_changed_is_copied_anew():
    write_whole("memory://copies/b.fa", b">1\nA\n")
    first = shared_copy("memory://copies/b.fa")
    write_whole("memory://copies/b.fa", b">1\nACGT\n")
    assert Path(shared_copy("memory://copies/b.fa")).read_bytes() == b">1\nACGT\n"
    assert Path(first).read_bytes() == b">1\nA\n"


def test_shared_copy__a_folder_of_somebody_else_is_not_trusted(monkeypatch: pytest.MonkeyPatch):
    write_whole("memory://copies/c.fa", b">1\n")
    shared_copy("memory://copies/c.fa")
    own = os.getuid()
    folder = f"exoshard-shared-{own}"
    monkeypatch.setattr("contract.local_copies.os.getuid", lambda: own + 1)
    monkeypatch.setattr("contract.local_copies.Path", lambda base, name: Path(base, folder))
    with pytest.raises(StorageError, match="a folder of somebody else"):
        shared_copy("memory://copies/c.fa")


def test_shared_copy__absent():
    with pytest.raises(FileNotFoundError):
        shared_copy("memory://copies/absent.fa")
