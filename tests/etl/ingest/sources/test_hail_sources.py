from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from contract.errors import InputError
from etl.cohort.schema import KEY
from etl.ingest.files import open_source
from etl.ingest.vcf import Totals
from tests.etl.ingest.sources.cohorts import (
    WITH_MULTIALLELIC,
    read_calls,
    read_source,
    rows,
    run_config,
    write_vcf,
    write_vds,
)

UNCOVERED = SimpleNamespace(GT=None, DP=None, GQ=None)
"""Where neither a record nor a reference block of a person lies."""

pytestmark = pytest.mark.usefixtures("hail_session")


def read_through_hail(folder: Path, calls: dict[str, Any], **changes: Any) -> tuple[pa.Table, Totals]:
    config = run_config(calls, **changes)
    source = open_source(config.input)
    with source.prepared(str(folder), ["CSQ"], 6) as readable:
        found = read_source(readable, config, 3)
    assert list(folder.glob("shards*")) == []
    return found


def write_matrix_table(vcf: Path, path: Path, *, split: bool = False, **settings: Any) -> str:
    import hail as hl

    table = hl.import_vcf(str(vcf), reference_genome="GRCh37", **settings)
    if split:
        table = hl.split_multi_hts(table)
    table.annotate_cols(batch="one").write(str(path), overwrite=True)
    return str(path)


def test_matrix_table__equals_the_vcf_that_it_was_made_of(tmp_path: Path):
    vcf = write_vcf(tmp_path / "cohort.vcf", *WITH_MULTIALLELIC)
    path = write_matrix_table(vcf, tmp_path / "cohort.mt")
    annotated = {"annotation": {"kind": "csq"}}
    of_vcf, totals = read_calls({"vcf": str(vcf)}, **annotated)
    of_table, others = read_through_hail(tmp_path, {"matrix_table": path}, **annotated)
    assert rows(of_table) == rows(of_vcf)
    assert others.counts == totals.counts
    assert others.sums_8P.tolist() == totals.sums_8P.tolist()


@pytest.mark.parametrize("genotype_qc", ["apply", "skip"])
def test_matrix_table__equals_the_vcf_of_real_calls(tmp_path: Path, shared_data: Path, genotype_qc: str):
    vcf = shared_data / "01_hail_test_resources" / "sample2.vcf.gz"
    path = write_matrix_table(vcf, tmp_path / "cohort.mt", force=True)
    of_vcf, totals = read_calls({"vcf": str(vcf)}, genotype_qc=genotype_qc)
    of_table, others = read_through_hail(tmp_path, {"matrix_table": path}, genotype_qc=genotype_qc)
    assert of_vcf.num_rows == 1175
    assert rows(of_table) == rows(of_vcf)
    assert others.sums_8P.tolist() == totals.sums_8P.tolist()


def test_matrix_table__split_already(tmp_path: Path, shared_data: Path):
    vcf = shared_data / "01_hail_test_resources" / "sample2.vcf.gz"
    path = write_matrix_table(vcf, tmp_path / "cohort.mt", split=True, force=True)
    own = ("old_position", "old_alleles", "a_index", "site_reasons", "filters")
    of_vcf, of_table = (
        read_calls({"vcf": str(vcf)}, genotype_qc="apply")[0],
        read_through_hail(tmp_path, {"matrix_table": path}, genotype_qc="apply")[0],
    )
    # Hail leaves the star allele out when it splits, and sorts the alleles of a record.
    wanted = [row for row in rows(of_vcf, *own) if row["alt"] != "*"]
    assert len(wanted) == 1172
    assert sorted(rows(of_table, *own), key=variant_key) == sorted(wanted, key=variant_key)


def variant_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def test_matrix_table__shards_are_removed_after_a_fault(tmp_path: Path):
    vcf = write_vcf(tmp_path / "cohort.vcf", *WITH_MULTIALLELIC)
    path = write_matrix_table(vcf, tmp_path / "cohort.mt")
    config = run_config({"matrix_table": path})
    prepared = open_source(config.input).prepared(str(tmp_path), [], 6)
    assert len(prepared.__enter__().files()) > 0
    with suppress(InputError):
        prepared.__exit__(InputError, InputError("a fault"), None)
    assert list(tmp_path.glob("shards*")) == []


@pytest.fixture(scope="module")
def vds(shared_data: Path) -> str:
    return str(shared_data / "01_hail_test_resources" / "vds" / "1kg_chr22_5_samples.vds")


@pytest.fixture(scope="module")
def split_calls(vds: str, hail_session: None) -> Iterator[dict[tuple[Any, ...], Any]]:
    """Hail's own split of local alleles and reference blocks: (variant, person) -> its entry."""
    import hail as hl

    dense = hl.vds.to_dense_mt(hl.vds.split_multi(hl.vds.read_vds(vds)))
    people = dense.s.collect()
    return {
        (found.locus.contig, found.locus.position, *found.alleles, people.index(found.s)): found
        for found in dense.select_entries("GT", "AD", "DP", "GQ").entries().collect()
    }


@pytest.mark.parametrize("genotype_qc", ["apply", "skip"])
def test_vds__calls_of_reference_blocks_and_local_alleles(
    tmp_path: Path, vds: str, split_calls: dict[tuple[Any, ...], Any], genotype_qc: str
):
    table, _ = read_through_hail(tmp_path, {"vds": vds}, reference="GRCh38", genotype_qc=genotype_qc)
    variants = {key[:4] for key in split_calls}
    assert table.num_rows == len(variants) == 82
    missing = -1
    for row in table.to_pylist():
        key = (row["contig"], row["position"], row["ref"], row["alt"])
        if genotype_qc == "skip":
            entries = [split_calls.get((*key, person)) for person in range(5)]
            calls = [None if entry is None else entry.GT for entry in entries]
            assert row["n_called"] == sum(call is not None for call in calls)
            assert row["n_het"] == sum(call is not None and call.is_het() for call in calls)
            assert row["n_hom_alt"] == sum(call is not None and call.is_hom_var() for call in calls)
        for person, depth, quality in zip(row["person"], row["dp"], row["gq"], strict=True):
            entry = split_calls.get((*key, person), UNCOVERED)
            assert depth == (missing if entry.DP is None else entry.DP)
            if genotype_qc == "apply":
                assert quality == (missing if entry.GQ is None else entry.GQ)


def test_vds__equals_the_vcf_that_it_was_made_of(tmp_path: Path):
    vcf = write_vcf(tmp_path / "cohort.vcf", *WITH_MULTIALLELIC)
    path = write_vds(vcf, tmp_path / "cohort.vds")
    annotated = {"annotation": {"kind": "csq"}}
    of_vcf, _ = read_calls({"vcf": str(vcf)}, **annotated)
    of_vds, _ = read_through_hail(tmp_path, {"vds": path}, **annotated)
    assert rows(of_vds) == rows(of_vcf)
