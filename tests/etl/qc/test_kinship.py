from collections.abc import Callable
from functools import partial
from pathlib import Path

import hail as hl
import numpy as np
import pandas as pd
import pytest

from etl.qc import kinship
from etl.qc.components import principal_components
from etl.qc.kinship import ExpectedFrequencies, king, opposite_homozygotes, pc_relate
from etl.qc.plink import Markers, write_plink
from tests.etl.qc.families import family, markers_of
from tests.etl.qc.hail_markers import markers_matrix


def everybody(markers: Markers) -> np.ndarray:
    return np.ones(len(markers.people), dtype=bool)


def blocks(n_people: int) -> list[slice]:
    """Two blocks, of which the first is four people."""
    return [slice(0, 4), slice(4, n_people)]


def whole(n_people: int, estimate: Callable[[slice, slice], np.ndarray]) -> np.ndarray:
    """All pairs, from the four pairs of two blocks."""
    return np.block([[estimate(mine, theirs) for theirs in blocks(n_people)] for mine in blocks(n_people)])


def test_king__by_hand(tmp_path: Path):
    # het/het at 3, opposite homozygotes at 1; the first has 4 heterozygous calls, the second 5.
    first, second = [1, 1, 1, 1, 0, 2, 2], [1, 1, 1, 0, 2, 1, 1]
    file = write_plink(markers_of(np.array([first, second]).T), str(tmp_path / "markers"))
    found = king(file, slice(0, 2), slice(0, 2))
    assert found[0, 1] == found[1, 0] == pytest.approx(0.5 - ((4 + 5) / 2 - 3 + 2 * 1) / (2 * 4))
    assert found[0, 0] == found[1, 1] == 0.5


def test_king__nobody_heterozygous_is_no_estimate(tmp_path: Path):
    file = write_plink(markers_of(np.array([[0, 0], [2, 0], [-1, 1]])), str(tmp_path / "markers"))
    assert not np.isfinite(king(file, slice(0, 2), slice(0, 2))[0, 1])


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("at_once", [7, pytest.param(512, marks=pytest.mark.slow)])
def test_king_and_pc_relate__equal_hail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(kinship, "MARKERS_AT_ONCE", at_once)
    dosage = family(400, 25)
    # Hail takes an imputed call for a real one where the marker's mean is a whole number: leave those out.
    mean = np.where(dosage < 0, 0, dosage).sum(axis=1) / (dosage >= 0).sum(axis=1)
    markers = markers_of(dosage[mean % 1 != 0])
    file = write_plink(markers, str(tmp_path / "markers"))
    scores = principal_components(markers, everybody(markers), 2)
    expected = ExpectedFrequencies.fit(markers, scores, everybody(markers), min_maf=0.01)
    by_components = whole(30, partial(pc_relate, file, expected))
    by_king = whole(30, partial(king, file))
    mt = markers_matrix(str(tmp_path / "markers"), "GRCh38").add_col_index("place")
    mt = mt.annotate_cols(scores=hl.literal(scores.tolist())[hl.int32(mt.place)])
    wanted = hl.pc_relate(
        mt.GT, min_individual_maf=0.01, scores_expr=mt.scores, statistics="kin", min_kinship=-10
    ).to_pandas()
    assert len(wanted) == 30 * 29 / 2
    for row in wanted.to_dict("records"):
        pair = tuple(int(row[name][1:]) for name in ("i.s", "j.s"))
        assert by_components[pair] == pytest.approx(row["kin"], abs=2e-5)
    table = hl.king(mt.GT).entries().to_pandas()
    for row in table[table["s_1"] != table["s"]].to_dict("records"):
        pair = (int(row["s_1"][1:]), int(row["s"][1:]))
        assert by_king[pair] == pytest.approx(row["phi"], abs=2e-5)


def test_pc_relate__components_of_unrelated_people_do_not_hide_a_family(tmp_path: Path):
    markers = markers_of(family(2000, 20))
    file = write_plink(markers, str(tmp_path / "markers"))
    strangers = np.arange(25) >= 5
    siblings = {}
    for name, fitted in (("everybody", everybody(markers)), ("strangers", strangers)):
        scores = principal_components(markers, fitted, 4)
        expected = ExpectedFrequencies.fit(markers, scores, fitted, min_maf=0.01)
        siblings[name] = pc_relate(file, expected, slice(0, 8), slice(0, 8))[2, 3]
    assert siblings["everybody"] < 0.15 < siblings["strangers"]


def test_expected_frequencies__missing_calls_stand_at_the_mean_of_those_fitted():
    markers = markers_of(np.array([[0, 2, 2, -1, 1], [-1, -1, -1, -1, 2]]))
    fitted = np.array([True, True, True, True, False])
    found = ExpectedFrequencies.fit(markers, np.zeros((5, 0)), fitted, min_maf=0.01)
    frequencies, inside = found.of(slice(0, 2), slice(0, 5))
    # 4 alleles of 3 people, for everybody; nobody of them is called at the second marker.
    assert np.allclose(frequencies, [[2 / 3] * 5, [0] * 5])
    assert inside.tolist() == [[True] * 5, [False] * 5]


def test_opposite_homozygotes__by_hand(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kinship, "PAIRS_AT_ONCE", 2)
    markers = markers_of(np.array([[0, 2, 1], [2, 0, -1], [0, 0, 2], [1, 2, -1], [-1, 1, -1]]))
    pairs = pd.DataFrame({"first": [0, 1, 0], "second": [1, 2, 2]})
    # Of the markers both called: 2 of 4, 1 of 2, 1 of 2.
    assert opposite_homozygotes(markers, pairs).tolist() == [0.5, 0.5, 0.5]
    unseen = markers_of(np.array([[-1, 2]]))
    assert np.isnan(opposite_homozygotes(unseen, pairs[:1])).all()
