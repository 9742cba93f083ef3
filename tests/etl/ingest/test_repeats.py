from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from etl.ingest.repeats import remove_repeats
from etl.ingest.vcf import variant_digest
from tests.etl.cohort_rows import cohort_table, variant, write_cohort

pytestmark = pytest.mark.usefixtures("hail_session")


def cohort(folder: Path, *rows: tuple[int, str]) -> str:
    """Rows in a part each: position and the call of the second of two people."""
    table = cohort_table(
        *(
            variant("chr1", position, f"0/0 {call}", variant=part << 32)
            for part, (position, call) in enumerate(rows)
        )
    )
    return write_cohort(table, folder, parts=len(rows))


def keys(folder: str) -> np.ndarray:
    rows = pq.read_table(folder).to_pylist()
    names = [variant_digest(row["contig"], row["position"], row["ref"], row["alt"]) for row in rows]
    return np.frombuffer(b"".join(names), dtype=np.uint64)


def kept(folder: str) -> list[int]:
    return sorted(pq.read_table(folder).column("variant").to_pylist())


def test_remove_repeats__the_first_of_each_stays(tmp_path: Path):
    folder = cohort(tmp_path / "c", (100, "0/1"), (200, "0/1"), (100, "0/1"), (100, "1/1"), (300, "0/1"))
    counts = remove_repeats(SparkSession.builder.getOrCreate(), folder, keys(folder))
    assert counts == {"repeated": 1, "repeated_with_other_calls": 1}
    assert kept(folder) == [0, 1 << 32, 4 << 32]
    assert not list(Path(folder).glob(".*.parquet.*"))


def test_remove_repeats__other_variants_at_one_position_are_no_repeats(tmp_path: Path):
    folder = cohort(tmp_path / "c", (100, "0/1"), (101, "0/1"))
    assert remove_repeats(SparkSession.builder.getOrCreate(), folder, keys(folder)) == {
        "repeated": 0,
        "repeated_with_other_calls": 0,
    }
    assert len(kept(folder)) == 2


def test_remove_repeats__equal_digests_of_other_variants_change_nothing(tmp_path: Path):
    folder = cohort(tmp_path / "c", (100, "0/1"), (101, "0/1"))
    counts = remove_repeats(SparkSession.builder.getOrCreate(), folder, np.array([7, 7], dtype=np.uint64))
    assert counts == {"repeated": 0, "repeated_with_other_calls": 0}
    assert len(kept(folder)) == 2
