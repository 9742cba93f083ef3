from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.cohort.passes import Parts, rewrite_parts
from tests.etl.cohort_rows import cohort_table, variant, write_cohort

pytestmark = pytest.mark.usefixtures("hail_session")

SCHEMA = pa.schema([pa.field("position", pa.int32())])
COHORT = cohort_table(*(variant("chr1", 1000 + place, "0/0 0/1") for place in range(5)))


def even_positions(batches):
    """Rows at even positions; tells how many rows it read."""
    n_read = 0
    for batch in batches:
        n_read += batch.num_rows
        even = [position for position in batch.column("position").to_pylist() if position % 2 == 0]
        yield pa.RecordBatch.from_pydict({"position": even}, schema=SCHEMA)
    return n_read


def fails_in_the_last_part(batches):
    for batch in batches:
        yield batch
        if 1004 in batch.column("position").to_pylist():
            raise ValueError("found 1004")


def test_rewrite_parts__parts_keep_their_names_and_results_their_order(tmp_path: Path):
    cohort, out = write_cohort(COHORT, tmp_path / "cohort", parts=3), tmp_path / "out"
    assert rewrite_parts(Parts(cohort, ["position"]), str(out), SCHEMA, even_positions) == [2, 2, 1]
    rows = {path.name: pq.read_table(path)["position"].to_pylist() for path in sorted(out.iterdir())}
    assert rows == {"part-00000.parquet": [1000], "part-00001.parquet": [1002], "part-00002.parquet": [1004]}


def test_rewrite_parts__a_part_that_fails_leaves_nothing(tmp_path: Path):
    cohort, out = write_cohort(COHORT, tmp_path / "cohort", parts=2), tmp_path / "out"
    with pytest.raises(Exception, match="found 1004"):
        rewrite_parts(Parts(cohort, ["position"]), str(out), SCHEMA, fails_in_the_last_part)
    assert "part-00001.parquet" not in {path.name for path in out.iterdir()}
    assert not list(out.glob(".*")), "no half of a file"
