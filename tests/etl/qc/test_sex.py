import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.person_sums import GRID, PERSON_SUMS, Measured
from etl.qc.sex import call_karyotypes, impute_sex, odd_karyotypes
from etl.thresholds import Profile, SampleThresholds


@pytest.fixture(scope="module")
def limits() -> SampleThresholds:
    return load_config(Profile, PROFILES / "bipex.yaml").sample


def on_x(*people: tuple[int, int, float], het_autosomes: int | None = None) -> Measured:
    """40 sites, expected homozygosity 0.5 each; people: heterozygous, missing, expected at the missing.

    With `het_autosomes`, that many of everybody's 1,000 autosomal sites are heterozygous, 500 are expected.
    """
    rows = [
        dict.fromkeys(PERSON_SUMS, 0)
        | {"x_het": het, "x_missing": missing, "x_expected_missing": int(expected * GRID)}
        | {"a_het": het_autosomes or 0}
        for het, missing, expected in people
    ]
    n_autosomes = 0 if het_autosomes is None else 1000
    autosomes = {"n_sites": 0, "a_sites": n_autosomes, "a_expected": n_autosomes // 2 * GRID}
    return Measured(pd.DataFrame(rows), autosomes | {"x_sites": 40, "x_expected": 20 * GRID})


def test_impute_sex__by_hand(limits: SampleThresholds):
    # F = (O - E) / (N - E): 40 of 40 homozygous; 20 of 40; 30 of 40; 10 sites missing, 26 of 30 homozygous.
    found = impute_sex(on_x((0, 0, 0), (20, 0, 0), (10, 0, 0), (4, 10, 5)), limits)
    assert found["f_stat"].tolist() == pytest.approx([1, 0, 0.5, (26 - 15) / (30 - 15)])
    assert found["n_sites_on_x"].tolist() == [40, 40, 40, 30]
    assert found["imputed_sex"].tolist() == ["male", "female", None, None]


def test_impute_sex__beside_the_person_s_own_autosomes(limits: SampleThresholds):
    # An ancestry with three quarters of the expected heterozygotes, on X as on autosomes.
    found = impute_sex(on_x((15, 0, 0), (0, 0, 0), het_autosomes=375), limits)
    assert found["f_x"].tolist() == pytest.approx([0.25, 1])
    assert found["f_autosomes"].tolist() == pytest.approx([0.25, 0.25])
    assert found["f_stat"].tolist() == pytest.approx([0, 1])
    assert found["imputed_sex"].tolist() == ["female", "male"]


def test_impute_sex__too_few_sites(limits: SampleThresholds):
    found = impute_sex(on_x((0, 20, 10), (0, 21, 10.5)), limits)
    assert found["imputed_sex"].tolist() == ["male", None]
    assert found["f_stat"].isna().tolist() == [False, True]


def depths(*copies: tuple[float, float], sites_on_y: int = 10) -> pd.DataFrame:
    """Sums of people with these copies of X and Y: 40 reads on 100 autosomal sites; kits catch half of X."""
    return pd.DataFrame(
        [
            {
                "n_dp": 130 + sites_on_y,
                "sum_dp": int(4000 + 30 * 10 * x + sites_on_y * 20 * y),
                "n_dp_x": 30,
                "sum_dp_x": int(30 * 10 * x),
                "n_dp_y": sites_on_y,
                "sum_dp_y": int(sites_on_y * 20 * y),
            }
            for x, y in copies
        ]
    )


COPIES = [(2, 0), (2, 0), (2, 0), (1, 1), (1, 1), (1, 1), (2, 1), (1, 0), (1, 2), (1.5, 0)]
SEX = pd.Series(["female"] * 3 + ["male"] * 3 + ["female", "male", "male", "female"])


def test_call_karyotypes__beside_women_and_men(limits: SampleThresholds):
    found = call_karyotypes(depths(*COPIES), SEX, limits)
    assert found["karyotype"].tolist() == ["XX"] * 3 + ["XY"] * 3 + ["XXY", "X", "XYY", "unclear"]
    assert found["x_copies"][:4].tolist() == pytest.approx([2, 2, 2, 1])
    assert odd_karyotypes(found["karyotype"]) == [
        "3 people have a sex karyotype other than XX and XY by depth (XXY 1, X 1, XYY 1): they stay"
    ]


def test_call_karyotypes__without_y_or_without_men(limits: SampleThresholds):
    no_y = call_karyotypes(depths(*COPIES, sites_on_y=3), SEX, limits)
    no_men = call_karyotypes(depths(*COPIES), SEX.replace("male", None), limits)
    for found in (no_y, no_men):
        assert found.isna().all(axis=None)
    assert odd_karyotypes(no_y["karyotype"]) == []
