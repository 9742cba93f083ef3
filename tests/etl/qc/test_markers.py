from pathlib import Path

import hail as hl
import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.markers import prune, select_markers
from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack, write_plink
from etl.thresholds import Profile, RelatednessThresholds
from tests.etl.cohort_rows import cohort_table, variant, write_cohort
from tests.etl.qc.hail_markers import markers_matrix


@pytest.fixture(scope="module")
def limits() -> RelatednessThresholds:
    return load_config(Profile, PROFILES / "bipex.yaml").relatedness


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
    found = select_markers(cohort, ["P0", "P1", None, "P3"], limits, str(tmp_path / "scratch"), seed=1)
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
        drawn.append(select_markers(cohort, ["A", "B", "C"], limits, scratch, seed=seed))
    assert [len(markers) for markers in drawn] == [10, 10, 10]
    assert drawn[0].sites.equals(drawn[1].sites)
    assert not drawn[0].sites.equals(drawn[2].sites)


@pytest.mark.usefixtures("hail_session")
def test_select_markers__none_found(limits: RelatednessThresholds, tmp_path: Path):
    cohort = write_cohort(cohort_table(variant("chr1", 1, "0/0 0/0")), tmp_path / "cohort")
    found = select_markers(cohort, ["A", "B"], limits, str(tmp_path / "scratch"), seed=1)
    assert len(found) == 0
    assert len(prune(found, limits)) == 0


def markers_of(*rows: tuple[str, int, str]) -> Markers:
    """Markers from contig, position and alternate alleles by person; a dot is missing."""
    bits = {"0": HOM_REF_BITS, "1": HET_BITS, "2": HOM_ALT_BITS, ".": MISSING_BITS}
    codes = np.array([[bits[letter] for letter in dosages] for _, _, dosages in rows], dtype=np.uint8)
    sites = pd.DataFrame([(contig, position, "A", "C") for contig, position, _ in rows])
    sites.columns = pd.Index(["contig", "position", "ref", "alt"])
    return Markers(sites, tuple(f"P{place}" for place in range(codes.shape[1])), pack(codes))


def test_prune__by_hand(limits: RelatednessThresholds):
    limits = limits.model_copy(update={"max_r2": 0.5, "window_bp": 100})
    markers = markers_of(
        ("chr1", 1, "001122"),
        ("chr1", 2, "221100"),  # r = -1 with the first
        ("chr1", 3, "020020"),  # r² = 0.06
        ("chr1", 50, "000000"),  # does not vary
        ("chr1", 60, "......"),
        ("chr1", 101, "00112."),  # at the end of the window of the first
        ("chr1", 102, "001122"),  # beyond it
        ("chr2", 103, "001122"),  # another chromosome
    )
    assert prune(markers, limits).sites["position"].tolist() == [1, 3, 102, 103]


@pytest.mark.usefixtures("hail_session")
def test_prune__equals_hail_in_one_partition(limits: RelatednessThresholds, tmp_path: Path):
    rng = np.random.default_rng(8)
    first = rng.choice(list("0012."), (150, 60))
    noisy = np.where(
        rng.random((300, 60)) < 0.4, rng.choice(list("0012."), (300, 60)), np.repeat(first, 2, axis=0)
    )
    positions = np.sort(rng.choice(20_000_000, 300, replace=False))
    markers = markers_of(
        *(
            ("chr1" if place < 200 else "chr2", int(positions[place]), "".join(row))
            for place, row in enumerate(noisy)
        )
    )
    write_plink(markers, str(tmp_path / "markers"))
    mt = markers_matrix(str(tmp_path / "markers"), "GRCh38")
    wanted = hl.ld_prune(mt.GT, r2=limits.max_r2, bp_window_size=limits.window_bp).locus.collect()
    found = prune(markers, limits).sites
    assert 100 < len(found) < 290
    assert list(zip(found["contig"], found["position"], strict=True)) == [
        (locus.contig, locus.position) for locus in wanted
    ]
