from pathlib import Path

import numpy as np
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.genome import GenomeName
from etl.qc.ld_pruning import prune
from etl.qc.markers import Selection, select_markers
from etl.thresholds import Profile, RelatednessThresholds
from tests.etl.cohort_rows import cohort_table, variant, write_cohort


@pytest.fixture(scope="module")
def limits() -> RelatednessThresholds:
    return load_config(Profile, PROFILES / "bipex.yaml").relatedness


def selection(limits: RelatednessThresholds, seed: int = 1) -> Selection:
    return Selection(thresholds=limits, reference="GRCh38", seed=seed)


@pytest.mark.usefixtures("hail_session")
def test_select_markers__common_well_called_autosomal_snvs(limits: RelatednessThresholds, tmp_path: Path):
    limits = limits.model_copy(update={"min_marker_maf": 0.25, "min_marker_call_rate": 0.6})
    rows = cohort_table(
        variant("chr10", 5, "0/1 0/1 0/0 0/0", "A", "C"),
        variant("chr2", 9, "1/1 0/1 ./. 0/0", "AT", "AG"),
        variant("chr2", 8, "fail 1 0/0 0/0", "A", "C"),
        variant("chr2", 8, "0/1 0/1 0/0 0/0", "A", "T"),
        variant("chr2", 7, "0/1 0/0 0/0 0/0"),  # rare
        variant("chr2", 6, "1/1 1/1 1/1 0/1"),  # the reference is rare
        variant("chr2", 5, "0/1 fail 0/1 ./."),  # too few calls of those who are kept
        variant("chr3", 5, "0/1 0/1 fail fail"),  # enough of them
        variant("chr2", 4, "0/1 0/1 0/0 0/0", "A", "AT"),  # an insertion
        variant("chr2", 3, "0/1 0/1 0/0 0/0", "AT", "GC"),  # two bases
        variant("chr2", 2, "0/1 0/1 0/0 0/0", site_reasons=["filter_not_pass"]),
        variant("chrX", 5_000_000, "0/1 0/1 0/0 0/0"),
    )
    cohort = write_cohort(rows, tmp_path / "cohort", parts=3)
    found = select_markers(cohort, ["P0", "P1", None, "P3"], selection(limits), str(tmp_path / "scratch"))
    keys = list(zip(found.sites["contig"], found.sites["position"], found.sites["alt"], strict=True))
    assert keys == [
        ("chr2", 8, "C"),
        ("chr2", 8, "T"),
        ("chr2", 9, "AG"),
        ("chr3", 5, "C"),
        ("chr10", 5, "C"),
    ]
    assert found.people == ("P0", "P1", "P3")
    # A haploid call counts as homozygous, a failed one is missing.
    wanted = [[np.nan, 2, 0], [1, 1, 0], [2, 1, 0], [1, 1, np.nan], [1, 1, 0]]
    assert np.array_equal(found.dosages(0, 5), wanted, equal_nan=True)


@pytest.mark.usefixtures("hail_session")
def test_select_markers__the_draw_depends_on_the_seed_alone(limits: RelatednessThresholds, tmp_path: Path):
    limits = limits.model_copy(update={"max_markers": 10})
    rows = cohort_table(*(variant("chr3", position, "0/1 0/0 0/1") for position in range(1, 41)))
    drawn = []
    for seed, parts in ((1, 1), (1, 6), (2, 1)):
        cohort = write_cohort(rows, tmp_path / f"cohort{seed}{parts}", parts)
        scratch = str(tmp_path / f"scratch{seed}{parts}")
        drawn.append(select_markers(cohort, ["A", "B", "C"], selection(limits, seed), scratch))
    assert [len(markers) for markers in drawn] == [10, 10, 10]
    assert drawn[0].sites.equals(drawn[1].sites)
    assert not drawn[0].sites.equals(drawn[2].sites)


@pytest.mark.usefixtures("hail_session")
def test_select_markers__none_found(limits: RelatednessThresholds, tmp_path: Path):
    cohort = write_cohort(cohort_table(variant("chr1", 1, "0/0 0/0")), tmp_path / "cohort")
    found = select_markers(cohort, ["A", "B"], selection(limits), str(tmp_path / "scratch"))
    assert len(found) == 0
    assert len(prune(found, limits)) == 0


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize(
    ("reference", "contig", "inside"),
    [
        ("GRCh37", "6", 29_910_247),  # HLA-A
        ("GRCh38", "chr6", 29_942_470),
        ("GRCh37", "8", 11_351_510),  # BLK, on the inversion of 8p23
        ("GRCh38", "chr8", 11_494_001),
    ],
)
def test_select_markers__none_in_long_range_ld(
    limits: RelatednessThresholds, tmp_path: Path, reference: GenomeName, contig: str, inside: int
):
    rows = cohort_table(*(variant(contig, place, "0/1 0/0 0/1") for place in (1_000_000, inside)))
    cohort = write_cohort(rows, tmp_path / "cohort")
    chosen = Selection(thresholds=limits, reference=reference, seed=1)
    found = select_markers(cohort, ["A", "B", "C"], chosen, str(tmp_path / "scratch"))
    assert found.sites["position"].tolist() == [1_000_000]


@pytest.mark.usefixtures("hail_session")
def test_select_markers__none_with_an_excess_of_heterozygotes(limits: RelatednessThresholds, tmp_path: Path):
    rows = cohort_table(
        variant("chr1", 1, " ".join(["0/1"] * 50)),  # an artefact: χ² = 50
        variant("chr1", 2, " ".join(["0/1"] * 38 + ["0/0"] * 6 + ["1/1"] * 6)),  # χ² = 13.5
        variant("chr1", 3, " ".join(["0/0"] * 25 + ["1/1"] * 25)),  # two populations, or inbred people
    )
    cohort = write_cohort(rows, tmp_path / "cohort")
    people = [f"P{number}" for number in range(50)]
    found = select_markers(cohort, people, selection(limits), str(tmp_path / "scratch"))
    assert found.sites["position"].tolist() == [2, 3]
