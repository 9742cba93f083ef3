"""Real calls split and judged by Hail: the same counts, the same listed calls with their AD, DP and GQ."""

import gzip
import re
from pathlib import Path
from typing import Any

import hail as hl
import pytest

from etl.cohort.schema import FAILED, HET, HOM_ALT, NOT_CALLED, RULES
from tests.etl.ingest.outcome import outcome
from tests.etl.ingest.reading import bipex_limits

COUNTS = ("n_called", "n_het", "n_hom_alt", "n_not_called")
LISTS = ("person", "call", "ad_ref", "ad_alt", "dp", "gq")

FILES = [  # and alleles that are compared
    pytest.param("01_hail_test_resources/sample2.vcf.gz", 1_172, id="1000 genomes, many alleles"),
    pytest.param("07_1kg_exome_gatk_1182", 123, id="exome of GATK"),
    pytest.param(
        "01_hail_test_resources/multipleChromosomes.vcf.gz", 346, id="indels", marks=pytest.mark.slow
    ),
    pytest.param(
        "04_annotated_vcfs/glow/1000G.phase3.broad.withGenotypes.chr20.10100000.vcf.gz",
        17,
        id="2,535 people",
        marks=pytest.mark.slow,
    ),
]


def failures(mt: hl.MatrixTable) -> dict[str, hl.BooleanExpression]:
    """BipEx's rules as Hail expressions (01_load_vcf_filterGT.py)."""
    limits = bipex_limits()
    share, balance = mt.AD[0] / mt.DP, mt.AD[1] / mt.DP
    passes = {
        "depth": hl.if_else(mt.GT.is_haploid(), limits.min_dp_haploid, limits.min_dp) <= mt.DP,
        "genotype_quality": hl.if_else(
            mt.GT.is_hom_ref(), limits.min_gq_hom_ref <= mt.GQ, mt.PL[0] >= limits.min_pl_hom_ref
        ),
        "allele_balance": hl.case()
        .when(mt.GT.is_het(), balance >= limits.min_allele_balance_het)
        .when(mt.GT.is_hom_var(), balance >= limits.min_allele_balance_hom_var)
        .default(True),
        "allelic_reads": ~mt.GT.is_het() | (share + balance >= limits.min_allelic_reads_het),
    }
    return {rule: hl.is_defined(mt.GT) & ~hl.or_else(passed, False) for rule, passed in passes.items()}


def hail_rows(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Counts and listed calls of each split variant."""
    mt = hl.import_vcf(str(path), force=True, reference_genome="GRCh37", array_elements_required=False)
    mt = mt.annotate_entries(own_quality=hl.int32(hl.floor(mt.GQ)))
    mt = hl.split_multi_hts(mt.drop("GQ")).add_col_index()
    # Where nothing was split a call keeps the GQ that it came with; Hail would take it anew from PL.
    mt = mt.annotate_entries(GQ=hl.if_else(mt.was_split, hl.gq_from_pl(mt.PL), mt.own_quality))
    mt = mt.filter_rows(mt.alleles[1].matches("^[ACGTN]+$"))
    rules = failures(mt)
    failed = hl.any(list(rules.values()))
    code = (
        hl.case()
        .when(hl.is_missing(mt.GT), NOT_CALLED)
        .when(failed, FAILED)
        .when(mt.GT.is_het(), HET)
        .when(mt.GT.is_hom_var(), HOM_ALT)
        .default(-1)
    )
    values = [mt.AD[0], mt.AD[1], mt.DP, mt.GQ]
    listed = hl.tuple([hl.int32(mt.col_idx), code, *(hl.or_else(value, -1) for value in values)])
    rows = mt.select_rows(
        minimal=hl.min_rep(mt.locus, mt.alleles),
        n_called=hl.agg.count_where(hl.is_defined(mt.GT) & ~failed),
        n_het=hl.agg.count_where(code == HET),
        n_hom_alt=hl.agg.count_where(code == HOM_ALT),
        n_not_called=hl.agg.count_where(code == NOT_CALLED),
        failed=[hl.agg.count_where(rules[rule]) for rule in RULES],
        listed=hl.agg.filter(code >= 0, hl.agg.collect(listed)),
    ).rows()
    return {
        (row.minimal.locus.contig, row.minimal.locus.position, *row.minimal.alleles): {
            **{name: row[name] for name in (*COUNTS, "failed")},
            "listed": [tuple(call) for call in row.listed],
        }
        for row in rows.collect()
    }


def our_rows(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = outcome(path, "GRCh37", "apply")
    assert found.rows is not None, found.faults
    return {
        (row["contig"], row["position"], row["ref"], row["alt"]): {
            **{name: row[name] for name in (*COUNTS, "failed")},
            "listed": list(zip(*(row[name] for name in LISTS), strict=True)),
        }
        for row in found.rows.to_pylist()
        if "not_bases" not in row["site_reasons"]
    }


def for_hail(source: Path, folder: Path) -> Path:
    """The file with GQ declared as what it is: Hail refuses decimals in a field of whole numbers."""
    path = folder / "a.vcf.gz"
    text = gzip.decompress(source.read_bytes()).decode()
    path.write_bytes(gzip.compress(re.sub("(ID=GQ,Number=1,Type=)Integer", r"\1Float", text).encode()))
    return path


@pytest.mark.parametrize(("name", "n_rows"), FILES)
def test_reading__judged_as_hail_does(
    shared_data: Path, tmp_path: Path, hail_session: None, name: str, n_rows: int
):
    place = shared_data / name
    source = next(place.glob("*.vcf.gz")) if place.is_dir() else place
    ours, theirs = our_rows(source), hail_rows(for_hail(source, tmp_path))
    assert len(ours) == n_rows
    assert ours == theirs
