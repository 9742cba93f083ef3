import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from contract.errors import InputError
from train.checkpoint import CHECKPOINT_NAME, load_state, save_state


def test_save_state__round_trip_and_no_leftovers(tmp_path: Path):
    save_state(tmp_path, {"epoch": 1, "weights": torch.ones(2)})
    save_state(tmp_path, {"epoch": 2, "weights": torch.zeros(2)})
    state = load_state(tmp_path)
    assert state is not None
    assert state["epoch"] == 2
    assert state["weights"].tolist() == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_NAME]


def test_load_state__none_yet(tmp_path: Path):
    assert load_state(tmp_path) is None


def test_load_state__damaged_file(tmp_path: Path):
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"checkpoint.pt: whole file: found .*wanted a checkpoint"):
        load_state(tmp_path)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise RuntimeError('executed')",)


def torch_file(path: Path) -> None:
    torch.save(Harmful(), path)


def pickle_file(path: Path) -> None:
    path.write_bytes(pickle.dumps(Harmful(), protocol=2))


@pytest.mark.parametrize("write", [torch_file, pickle_file])
def test_load_state__never_executes_what_it_reads(tmp_path: Path, write: Callable[[Path], None]):
    write(tmp_path / CHECKPOINT_NAME)
    with pytest.raises(InputError, match=r"wanted a checkpoint"):
        load_state(tmp_path)


def test_save_state__last_ones_are_kept(tmp_path: Path):
    for epoch in range(1, 6):
        save_state(tmp_path, {"epoch": epoch}, keep=3)
    names = [CHECKPOINT_NAME, "checkpoint.1.pt", "checkpoint.2.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert [torch.load(tmp_path / name)["epoch"] for name in names] == [5, 4, 3]


def test_load_state__damaged_file_beside_an_older_one(tmp_path: Path):
    for epoch in (1, 2):
        save_state(tmp_path, {"epoch": epoch}, keep=2)
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"no checkpoint")
    with pytest.raises(
        InputError, match=r"wanted .* of this trainer, such as checkpoint.1.pt under this name"
    ):
        load_state(tmp_path)
