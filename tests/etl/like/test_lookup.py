from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.reference import VariantFile
from etl.export import reference_variants
from etl.export.reference_variants import REFERENCE_SCHEMA
from etl.like import lookup
from etl.like.lookup import VariantTable


def stored(folder: Path, contig: str, positions: list[int], alts: list[str]) -> VariantFile:
    n = len(positions)
    columns = {
        "position": pa.array(positions, pa.int32()),
        "ref": ["A"] * n,
        "alt": alts,
        "passes": [position % 2 == 0 for position in positions],
        "allele_count": pa.array(positions, pa.int64()),
    }
    nothing = {field.name: pa.nulls(n, field.type) for field in REFERENCE_SCHEMA if field.name not in columns}
    (folder / "variants").mkdir(exist_ok=True)
    rows = pa.table(columns | nothing).select(REFERENCE_SCHEMA.names).cast(REFERENCE_SCHEMA)
    return reference_variants._write(str(folder), f"variants/{contig}-{positions[0]}.parquet", contig, rows)


def asked(*keys: tuple[str, int, str]) -> pa.RecordBatch:
    contigs, positions, alts = zip(*keys, strict=True)
    return pa.RecordBatch.from_pydict(
        {
            "contig": contigs,
            "position": pa.array(positions, pa.int32()),
            "ref": ["A"] * len(keys),
            "alt": alts,
        }
    )


def test_find__by_contig_position_and_alleles(tmp_path: Path):
    files = (
        stored(tmp_path, "1", [10, 20, 20], ["C", "C", "G"]),
        stored(tmp_path, "1", [30, 44], ["C", "T"]),
        stored(tmp_path, "2", [10], ["C"]),
    )
    table = VariantTable(str(tmp_path), files)
    batch = asked(
        ("1", 44, "T"), ("1", 20, "G"), ("2", 10, "G"), ("3", 10, "C"), ("2", 10, "C"), ("1", 15, "C")
    )
    rows, found = table.find(batch, ("allele_count", "passes"))
    assert found.tolist() == [True, True, False, False, True, False]
    assert rows["allele_count"].to_pylist() == [44, 20, None, None, 10, None]
    assert rows["passes"].to_pylist() == [True, True, None, None, True, None]


def test_find__nothing_is_asked_for(tmp_path: Path):
    table = VariantTable(str(tmp_path), (stored(tmp_path, "1", [10], ["C"]),))
    rows, found = table.find(asked(("1", 10, "C")).slice(0, 0), ("passes",))
    assert (rows.num_rows, len(found)) == (0, 0)


def test_find__row_groups_without_any_of_the_variants_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reference_variants, "ROWS_PER_GROUP", 10)
    positions = list(range(1000, 2000))
    table = VariantTable(str(tmp_path), (stored(tmp_path, "1", positions, ["C"] * 1000),))
    read: list[int] = []
    whole = pq.ParquetFile.read_row_groups

    def counting(self: pq.ParquetFile, groups: list[int], **settings: object) -> pa.Table:
        read.extend(groups)
        return whole(self, groups, **settings)

    monkeypatch.setattr(lookup.pq.ParquetFile, "read_row_groups", counting)
    batch = asked(("1", 1005, "C"), ("1", 1555, "C"), ("1", 5000, "C"))
    assert table.find(batch, ("allele_count",))[1].tolist() == [True, True, False]
    assert read == [0, 55]


def test_find__many_variants_agree_with_a_dictionary(tmp_path: Path):
    rng = np.random.default_rng(1)
    positions = np.sort(rng.choice(10_000, 3000, replace=False)).tolist()
    table = VariantTable(str(tmp_path), (stored(tmp_path, "X", positions, ["C"] * 3000),))
    wanted = rng.integers(0, 10_000, 500).tolist()
    rows, found = table.find(asked(*(("X", position, "C") for position in wanted)), ("allele_count",))
    known = set(positions)
    assert found.tolist() == [position in known for position in wanted]
    assert rows["allele_count"].to_pylist() == [p if p in known else None for p in wanted]
