import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.ancestry import assign_ancestry, find_groups, fit_components
from etl.qc.plink import Markers, pack
from etl.thresholds import Profile


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_config(Profile, PROFILES / "bipex.yaml")


def scores_of(*sizes: int) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    centres = np.array([[0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 0, 5], [5, 5, 5]])
    values = np.concatenate([rng.normal(centres[i], 0.2, (n, 3)) for i, n in enumerate(sizes)])
    return pd.DataFrame(values, columns=["pc1", "pc2", "pc3"])


def test_find_groups__largest_first(profile: Profile):
    groups = find_groups(scores_of(20, 60, 30), [True] * 110, profile.ancestry, seed=1)
    assert groups.tolist() == ["group3"] * 20 + ["group1"] * 60 + ["group2"] * 30


def test_find_groups__one_cloud_is_one_group(profile: Profile):
    assert set(find_groups(scores_of(80), [True] * 80, profile.ancestry, seed=1)) == {"group1"}


def test_find_groups__hardly_anybody(profile: Profile):
    assert set(find_groups(scores_of(3), [True] * 3, profile.ancestry, seed=1)) == {"group1"}


def test_find_groups__no_component(profile: Profile):
    scores = pd.DataFrame({"sample_id": list("ABC")})
    assert set(find_groups(scores, [True] * 3, profile.ancestry, seed=1)) == {"group1"}


def test_find_groups__people_who_are_not_fitted_move_nobody(profile: Profile):
    scores = scores_of(40, 40, 3)
    fitted = [True] * 80 + [False] * 3
    moved = scores.copy()
    moved.iloc[80:] += 50
    before, after = (find_groups(s, fitted, profile.ancestry, seed=1)[:80] for s in (scores, moved))
    assert pd.crosstab(before, after).gt(0).sum().eq(1).all()


def test_assign_ancestry__people_are_placed_among_labelled_ones():
    scores = scores_of(40, 40, 3)
    known = pd.Series(["afr"] * 40 + ["eur"] * 39 + [None] * 4)
    # The last three lie far from both groups, so that the trees disagree about them.
    found = assign_ancestry(scores, known, seed=1)
    assert found[:79].tolist() == known[:79].tolist()
    assert found[79] == "eur"
    assert assign_ancestry(scores, known, seed=1).equals(found)


def test_assign_ancestry__between_the_labels_is_unknown():
    scores = scores_of(40, 40)
    scores.loc[80] = [2.5, 0, 0]
    known = pd.Series(["afr"] * 40 + ["eur"] * 40 + [None])
    assert assign_ancestry(scores, known, seed=1)[80] == "unknown"


def test_assign_ancestry__no_component_or_no_label():
    known = pd.Series(["afr", None])
    assert assign_ancestry(pd.DataFrame(index=range(2)), known, seed=1).tolist() == ["afr", "unknown"]
    none = pd.Series([None, None])
    assert set(assign_ancestry(scores_of(2), none, seed=1)) == {"unknown"}


def test_fit_components__test_people_do_not_move_the_others(profile: Profile):
    bits = np.random.default_rng(1).choice([0, 2, 3], (200, 40)).astype(np.uint8)
    other = bits.copy()
    other[:, 30:] = 0
    fitted = {str(number) for number in range(30)}
    first, second = (
        fit_components(random_markers(drawn), fitted, profile.ancestry).scores_PK for drawn in (bits, other)
    )
    assert np.allclose(first[:30], second[:30], atol=1e-9)
    assert not np.allclose(first[30:], second[30:], atol=1e-3)
    assert len(first) == 40


def test_fit_components__no_more_than_people(profile: Profile):
    markers = random_markers(np.random.default_rng(1).choice([0, 2, 3], (50, 6)).astype(np.uint8))
    assert fit_components(markers, {"0", "1", "2", "3"}, profile.ancestry).scores_PK.shape == (6, 3)


def random_markers(bits_MP: np.ndarray) -> Markers:
    sites = pd.DataFrame({"contig": "chr1", "position": range(len(bits_MP)), "ref": "A", "alt": "C"})
    return Markers(sites, tuple(map(str, range(bits_MP.shape[1]))), pack(bits_MP))
