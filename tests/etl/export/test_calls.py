from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("hail")
import hail as hl

from etl.cohort.people import kept_people
from etl.export.calls import VARIANT_FIELDS, CohortTables, export_matrix_table
from etl.export.vcf_text import vcf_header, vcf_lines
from etl.qc.variants import VARIANT_SCHEMA
from tests.etl.cohort_rows import cohort_table, hail_matrix, variant, write_cohort

EVERYBODY = pd.DataFrame({"person": range(4), "sample_id": ["A", "B", "C", "D"]})
# B was dropped, and the others stand in another order than in the VCF's header.
SAMPLES = pd.DataFrame(
    {
        "sample_id": ["D", "C", "A"],
        "sample_index": [0, 1, 2],
        "sex": ["male", "female", "unknown"],
        "is_case": [1, 0, 1],
    }
)
CALLS = "0/1:12,13:25:99 1/1 0/0 1/1:0,.:.:40"


def lines(*variants: dict[str, Any]) -> list[list[str]]:
    batch = cohort_table(*variants).combine_chunks().to_batches()[0]
    return [line.rstrip("\n").split("\t") for line in vcf_lines(batch, kept_people(EVERYBODY, SAMPLES))]


def test_vcf_lines__columns_and_calls_in_the_order_of_sample_index():
    (line,) = lines(variant("chr1", 1000, "0/1:12,13:25:99 1/1 ./. 1/1:0,30:30:40", filters=["LowQ", "AS"]))
    assert line == ["chr1", "1000", ".", "A", "C", ".", "LowQ;AS", ".", "GT:AD:DP:GQ",
                    "1/1:0,30:30:40", "./.", "0/1:12,13:25:99"]  # fmt: skip


def test_vcf_lines__values_that_the_file_lacks():
    (line,) = lines(variant("chr1", 1000, "0/1:.:25:. 0/0 fail 1/1"))
    assert line[6] == "PASS"
    assert line[9:] == ["1/1:.:.:.", "./.", "0/1:.:25:."]


def test_vcf_lines__reference_calls_by_sex_and_region():
    everywhere = lines(
        variant("chr1", 1000, "0/0 0/1 0/0 0/0"),
        variant("chrX", 20_000, "0/0 0/1 0/0 0/0"),
        variant("chrX", 5_000_000, "0/0 0/1 0/0 0/0"),
        variant("chrY", 5_000_000, "0/0 0/1 0/0 0/0"),
    )
    assert [line[9:] for line in everywhere] == [
        ["0/0", "0/0", "0/0"],
        ["0/0", "0/0", "0/0"],  # pseudo-autosomal
        ["0", "0/0", "0/0"],
        ["0", ".", "0/0"],
    ]


def test_vcf_lines__ploidy_of_carriers_by_sex():
    found = lines(
        variant("chrX", 5_000_000, "1 0/0 1 1/1:0,9:9:9"),
        variant("chrX", 6_000_000, "0/1:5,5:10:9 0/0 1/1 0/1"),
    )
    assert [line[9:] for line in found] == [
        ["1:0,9:9:9", "./.", "1:.:.:."],
        ["./.", "1/1:.:.:.", "0/1:5,5:10:9"],
    ]


def test_vcf_header__names_people_last():
    assert vcf_header(["D", "C"]).endswith("INFO\tFORMAT\tD\tC\n")


def random_cohort(n_people: int, n_variants: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(8)
    texts = np.array(["0/0", "0/1:8,7:15:60", "1/1:0,20:20:80", "./.", "fail"])
    codes = random.choice(5, p=[0.8, 0.1, 0.04, 0.03, 0.03], size=(n_variants, n_people))
    # Descending positions on two contigs: rows are in no order of the reference genome.
    return [
        variant(f"chr{1 + place % 2}", 9000 - place, " ".join(texts[row]), variant=place)
        for place, row in enumerate(codes)
    ]


def test_export_matrix_table__calls_equal_the_cohorts(tmp_path: Path, hail_session: None):
    n_people, n_variants = 12, 60
    variants = random_cohort(n_people, n_variants)
    everybody = pd.DataFrame({"person": range(n_people), "sample_id": [f"P{i:02}" for i in range(n_people)]})
    samples = everybody.iloc[::-1][:-2].assign(
        sample_index=range(n_people - 2), sex="male", is_case=1, batch=None
    )
    cohort = write_cohort(cohort_table(*variants), tmp_path / "cohort", parts=3)
    wanted = hail_matrix(*variants, people=everybody["sample_id"].tolist())
    table = cohort_table(*variants)
    passes = [position % 5 != 0 for position in table["position"].to_pylist()]
    for name, values in {"passes": passes, "reasons": [["x"]] * n_variants}.items():
        table = table.append_column(
            VARIANT_SCHEMA.field(name), pa.array(values, VARIANT_SCHEMA.field(name).type)
        )
    for name in VARIANT_FIELDS:
        if name not in table.column_names:
            column = VARIANT_SCHEMA.field(name)
            table = table.append_column(column, pa.array([n_people] * n_variants, column.type))
    (tmp_path / "variants").mkdir()
    pq.write_table(table.select(VARIANT_SCHEMA.names), tmp_path / "variants" / "part-00000.parquet")
    tables = CohortTables(cohort, str(tmp_path / "variants"), "GRCh38")
    export_matrix_table(tables, everybody, samples.drop(columns="person"), str(tmp_path / "out.mt"))

    found = hl.read_matrix_table(str(tmp_path / "out.mt"))
    assert found.count() == (n_variants * 4 // 5, n_people - 2)
    assert found.s.collect() == samples["sample_id"].tolist()
    assert (list(found.row), list(found.variant)) == (["locus", "alleles", "variant"], VARIANT_FIELDS)
    assert (list(found.col), list(found.person)) == (["s", "person"], ["sample_index", "sex", "is_case"])
    other = wanted[found.row_key, found.col_key]
    # Only calls that carry the allele have reads.
    carried = other.GT.is_non_ref()
    pairs = [(found.GT, other.GT)] + [
        (found[name], hl.or_missing(carried, other[name])) for name in ("AD", "DP", "GQ")
    ]
    same = [hl.or_else(a == b, hl.is_missing(a) & hl.is_missing(b)) for a, b in pairs]
    counts = found.aggregate_entries([hl.agg.count_where(equal) for equal in same])
    assert counts == [found.count_rows() * found.count_cols()] * 4
    assert found.aggregate_entries(hl.agg.count_where(found.AD[1] == 20)) > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cohort", "out.mt", "variants"], (
        "parts are removed"
    )
