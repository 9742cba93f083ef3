from pathlib import Path

import hail as hl
import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc import ld_pruning
from etl.qc.ld_pruning import prune
from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack, write_plink
from etl.thresholds import Profile, RelatednessThresholds
from tests.etl.qc.hail_markers import markers_matrix


@pytest.fixture(scope="module")
def limits() -> RelatednessThresholds:
    return load_config(Profile, PROFILES / "bipex.yaml").relatedness


def markers_of(*rows: tuple[str, int, str]) -> Markers:
    """Markers from contig, position and alternate alleles by person; a dot is missing."""
    bits = {"0": HOM_REF_BITS, "1": HET_BITS, "2": HOM_ALT_BITS, ".": MISSING_BITS}
    codes = np.array([[bits[letter] for letter in dosages] for _, _, dosages in rows], dtype=np.uint8)
    sites = pd.DataFrame([(contig, position, "A", "C") for contig, position, _ in rows])
    sites.columns = pd.Index(["contig", "position", "ref", "alt"])
    return Markers(sites, tuple(f"P{place}" for place in range(codes.shape[1])), pack(codes))


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_prune__by_hand(limits: RelatednessThresholds, monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(ld_pruning, "MARKERS_AT_ONCE", at_once)
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
def test_prune__equals_hail_in_one_partition(
    limits: RelatednessThresholds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ld_pruning, "MARKERS_AT_ONCE", 64)
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
