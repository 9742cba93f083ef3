import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.runs import ConfigMaker, fit_quietly, history_of
from train.distributed import Comm
from train.engine import Trainer
from train.intact import IntactFiles


@pytest.fixture
def copy(dataset: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "dataset"))


def part(root: Path, fold: int) -> Path:
    return root / "samples" / f"fold={fold}" / "part-00000.parquet"


def times_100(file: Path) -> None:
    """Write the same part again, each value a hundredfold."""
    table = pq.read_table(file)
    values = table.column("values").combine_chunks()
    grown = pa.ListArray.from_arrays(values.offsets, pa.array(100 * values.flatten().to_numpy()))
    table = table.set_column(table.schema.get_field_index("values"), table.schema.field("values"), grown)
    pq.write_table(table, file, row_group_size=64)


def looked_at(root: Path, folds: list[int], comm: Comm | None = None) -> IntactFiles:
    return IntactFiles(str(root), read_manifest(str(root)), folds, comm or Comm())


def test_verify__values_a_hundredfold(copy: Path):
    looked_at(copy, [3, 4]).verify()
    times_100(part(copy, 3))
    with pytest.raises(InputError, match=r"fold=3/part-00000.parquet sha256: found \w{12}, wanted \w{12} \("):
        looked_at(copy, [3, 4]).verify()
    looked_at(copy, [4]).verify()


class TwoRanks(Comm):
    """Rank 0 of two, of which the other found `other`."""

    size = 2

    def __init__(self, other: bytes) -> None:
        self.other = np.frombuffer(other, np.uint8)

    def gather(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, self.other])


def test_verify__ranks_share_the_files_and_tell_each_other(copy: Path):
    part(copy, 3).unlink()  # the first file, of the first rank
    part(copy, 4).write_bytes(b"not looked at by the first rank")
    with pytest.raises(InputError) as told:
        looked_at(copy, [3, 4], TwoRanks(b'["a fault of the other"]\n')).verify()
    assert told.value.faults == [
        f"{copy}: samples/fold=3/part-00000.parquet: found no such file, wanted 100 rows",
        "a fault of the other",
    ]


def test_check_unchanged__touched_or_changed_or_gone(copy: Path):
    files = looked_at(copy, [3, 4])
    files.verify()
    times_100(part(copy, 9))  # not of these folds
    os.utime(part(copy, 3))
    files.check_unchanged()
    times_100(part(copy, 3))
    part(copy, 4).unlink()
    with pytest.raises(InputError) as told:
        files.check_unchanged()
    assert "fold=3/part-00000.parquet sha256: found" in told.value.faults[0]
    assert told.value.faults[0].endswith("(manifest.json): changed since the run began")
    assert "fold=4/part-00000.parquet: found no such file" in told.value.faults[1]
    assert len(told.value.faults) == 2


def test_check_unchanged__another_manifest(copy: Path):
    files = looked_at(copy, [3])
    files.verify()
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 5', '"seed": 6'))
    with pytest.raises(InputError, match=r"manifest.json: found another dataset, wanted the dataset with"):
        files.check_unchanged()


def test_fit__sealed_file_in_place_of_a_training_file(copy: Path, make_config: ConfigMaker):
    shutil.copyfile(part(copy, 9), part(copy, 3))
    with pytest.raises(InputError, match=r"fold=3/part-00000.parquet sha256: found"):
        fit_quietly(make_config(data={"dataset": str(copy)}))


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_fit__sealed_file_in_place_of_a_training_file_after_the_start(
    copy: Path, make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch, cache: str
):
    config = make_config(data={"dataset": str(copy), "cache": cache}, stopping={"max_epochs": 5})
    untouched = Trainer.finish_epoch

    def exchange(trainer: Trainer, *of_epoch: object) -> object:
        if trainer.progress.epoch == 1:
            shutil.copyfile(part(copy, 9), part(copy, 3))
        return untouched(trainer, *of_epoch)

    monkeypatch.setattr(Trainer, "finish_epoch", exchange)
    # Read again, the other file's rows are where the known footer says that this one has none.
    wanted = r"changed since the run began" if cache == "memory" else r"wanted a row group of the manifest"
    with pytest.raises(InputError, match=wanted):
        fit_quietly(config)
    assert len(history_of(Path(config.run.out))) == 2
