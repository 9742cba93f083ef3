from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.aggregate.masks import FEATURE, FEATURES_SCHEMA
from etl.export.reference_variants import SmallCells, VariantTables, _write_part
from tests.etl.cohort_rows import cohort_table, variant, write_cohort

RARE = " ".join(["0/1"] + ["0/0"] * 19)
COMMON = " ".join(["0/1"] * 12 + ["1/1"] * 4 + ["0/0"] * 4)


def feature(index: int) -> dict[str, float]:
    return {field.name: index if field.name == "index" else 1 for field in FEATURE}


@pytest.fixture
def tables(tmp_path: Path) -> VariantTables:
    cohort = cohort_table(
        variant("chr1", 300, COMMON),
        variant("chr1", 100, RARE),
        variant("chr1", 200, RARE),
        variant("chr2", 100, COMMON, site_reasons=["failed_filter"]),
        variant("chr2", 200, RARE),
    )
    carriers, failing = [16, 1, 0, 16, 1], [[], [], ["monomorphic"], ["failed_filter"], ["call_rate"]]
    columns = {
        "passes": [not reasons for reasons in failing],
        "reasons": pa.array(failing, pa.list_(pa.string())),
        "n_carriers": carriers,
        "allele_count": [18, 1, 0, 18, 1],
        "allele_number": [36, 36, 36, 36, 36],
    }
    variants = cohort.select(["variant", "contig", "position", "ref", "alt"])
    for name, values in columns.items():
        variants = variants.append_column(name, pa.array(values) if isinstance(values, list) else values)
    features = pa.table({"variant": [1], "features": [[feature(7)]]}, schema=FEATURES_SCHEMA)
    folders = [
        write_cohort(table, tmp_path / name)
        for name, table in (("variants", variants), ("cohort", cohort), ("features", features))
    ]
    (tmp_path / "out/variants").mkdir(parents=True)
    return VariantTables(*folders)


def written(tables: VariantTables, out: Path, cells: SmallCells) -> dict[tuple[str, int], dict]:
    files = _write_part(f"{tables.variants}/part-00000.parquet", tables, str(out), cells)
    rows = {}
    for file in files:
        table = pq.read_table(out / file.path)
        positions = table["position"].to_pylist()
        assert (positions, file.rows) == (sorted(positions), table.num_rows)
        assert (file.first, file.last, file.bytes) == (
            positions[0],
            positions[-1],
            (out / file.path).stat().st_size,
        )
        rows |= {(file.contig, row["position"]): row for row in table.to_pylist()}
    return rows


def test_write_part__counts_of_small_cells_are_hidden(tables: VariantTables, tmp_path: Path):
    rows = written(tables, tmp_path / "out", SmallCells(5, "coarsen"))
    assert set(rows) == {("chr1", 100), ("chr1", 300), ("chr2", 100), ("chr2", 200)}
    common, rare = rows["chr1", 300], rows["chr1", 100]
    assert (common["allele_count"], common["allele_number"], common["passes"]) == (18, 36, True)
    assert (common["site_alleles"], common["site_called"]) == (20, 20)
    assert (rare["allele_count"], rare["allele_number"], rare["site_alleles"]) == (None, None, None)
    assert rare["features"] == [feature(7)]
    assert common["features"] is None
    assert not rows["chr2", 100]["passes"]
    assert rows["chr2", 100]["site_alleles"] is None, "a site that fails the rules tells no frequency"


def test_write_part__suppressed_cells_are_not_listed(tables: VariantTables, tmp_path: Path):
    rows = written(tables, tmp_path / "out", SmallCells(5, "suppress"))
    assert set(rows) == {("chr1", 300), ("chr2", 100)}


def test_write_part__no_cell_is_small(tables: VariantTables, tmp_path: Path):
    rows = written(tables, tmp_path / "out", SmallCells(1, "coarsen"))
    assert rows["chr1", 100]["allele_count"] == 1
    assert ("chr1", 200) not in rows, "of people who were dropped alone"
