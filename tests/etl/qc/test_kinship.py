from pathlib import Path

import hail as hl
import numpy as np
import pandas as pd
import pytest

from etl.qc import kinship
from etl.qc.components import principal_components
from etl.qc.kinship import estimate_pairs
from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack, write_plink
from tests.etl.qc.hail_markers import markers_matrix

BITS = {0: HOM_REF_BITS, 1: HET_BITS, 2: HOM_ALT_BITS, -1: MISSING_BITS}


def markers_of(dosage_MP: np.ndarray) -> Markers:
    bits = np.vectorize(BITS.get)(dosage_MP).astype(np.uint8)
    places = np.arange(len(dosage_MP))
    sites = pd.DataFrame({"contig": "chr1", "position": 1000 + 10 * places, "ref": "A", "alt": "C"})
    return Markers(sites, tuple(f"P{number:03d}" for number in range(dosage_MP.shape[1])), pack(bits))


def family(n_markers: int, n_strangers: int) -> np.ndarray:
    """Dosages of two parents, their two children, a twin of the first and strangers; some calls missing."""
    rng = np.random.default_rng(3)
    frequency = rng.uniform(0.1, 0.5, n_markers)
    parents = rng.random((n_markers, 2, 2)) < frequency[:, None, None]
    children = [
        np.stack([parents[np.arange(n_markers), side, rng.integers(0, 2, n_markers)] for side in (0, 1)], 1)
        for _ in range(2)
    ]
    strangers = (rng.random((n_markers, n_strangers, 2)) < frequency[:, None, None]).sum(axis=2)
    people = [parents[:, 0].sum(1), parents[:, 1].sum(1), *(child.sum(1) for child in children)]
    dosage = np.column_stack([*people, children[0].sum(1), strangers]).astype(int)
    dosage[rng.random(dosage.shape) < 0.01] = -1
    return dosage


def joined(frames: list[pd.DataFrame]) -> dict[tuple[int, int], float]:
    table = pd.concat(frames)
    assert not table.duplicated(["first", "second"]).any()
    return {(row.first, row.second): row.kinship for row in table.itertuples()}


def estimates(markers: Markers, scores: np.ndarray, least: float) -> tuple[dict, dict]:
    both = list(estimate_pairs(markers, scores, min_individual_maf=0.01, min_kinship=least))
    return joined([first for first, _ in both]), joined([second for _, second in both])


def test_estimate_pairs__king_by_hand():
    # het/het at 3, opposite homozygotes at 1; the first has 4 heterozygous calls, the second 5.
    first, second = [1, 1, 1, 1, 0, 2, 2], [1, 1, 1, 0, 2, 1, 1]
    _, king = estimates(markers_of(np.array([first, second]).T), np.zeros((2, 0)), -1)
    assert king == {(0, 1): pytest.approx(0.5 - ((4 + 5) / 2 - 3 + 2 * 1) / (2 * 4))}


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("block", [4, 16, 1024])
def test_estimate_pairs__equals_hail_in_blocks_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
):
    monkeypatch.setattr(kinship, "BLOCK", block)
    dosage = family(400, 25)
    # Hail takes an imputed call for a real one where the marker's mean is a whole number: leave those out.
    mean = np.where(dosage < 0, 0, dosage).sum(axis=1) / (dosage >= 0).sum(axis=1)
    markers = markers_of(dosage[mean % 1 != 0])
    write_plink(markers, str(tmp_path / "markers"))
    scores = principal_components(markers, np.ones(30, dtype=bool), 2)
    by_components, by_king = estimates(markers, scores, -10)
    assert len(by_components) == len(by_king) == 30 * 29 / 2
    mt = markers_matrix(str(tmp_path / "markers"), "GRCh38").add_col_index("place")
    mt = mt.annotate_cols(scores=hl.literal(scores.tolist())[hl.int32(mt.place)])
    wanted = hl.pc_relate(
        mt.GT, min_individual_maf=0.01, scores_expr=mt.scores, statistics="kin", min_kinship=-10
    ).to_pandas()
    for row in wanted.to_dict("records"):
        pair = tuple(sorted(int(row[name][1:]) for name in ("i.s", "j.s")))
        assert by_components[pair] == pytest.approx(row["kin"], abs=2e-5)
    king = hl.king(mt.GT)
    king = king.filter_entries(king.s_1 < king.s).entries().to_pandas()
    for row in king.to_dict("records"):
        pair = (int(row["s_1"][1:]), int(row["s"][1:]))
        assert by_king[pair] == pytest.approx(row["phi"], abs=2e-5)


def test_estimate_pairs__finds_the_family_and_nobody_else():
    markers = markers_of(family(2000, 200))
    # Scores that know nothing of the family: with five relatives of 205 the first real one would be it.
    scores = np.random.default_rng(4).normal(size=(len(markers.people), 2))
    by_components, by_king = estimates(markers, scores, 0.15)
    parents_and_children = {(parent, child) for parent in (0, 1) for child in (2, 3, 4)}
    close = parents_and_children | {(2, 3), (3, 4), (2, 4)}
    assert set(by_components) == set(by_king) == close
    assert by_components[2, 4] == pytest.approx(0.5, abs=0.04)
