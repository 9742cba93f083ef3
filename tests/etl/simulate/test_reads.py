import numpy as np
import pytest

from etl.simulate.config import SequencingConfig
from etl.simulate.people import People
from etl.simulate.reads import (
    MAXIMUM_DEPTH,
    draw_alternative_reads,
    draw_depths,
    expected_balance,
    hemizygous_entries,
)
from etl.simulate.reference import X
from etl.simulate.sites import DEFECTS, Alleles

N = 4_000
SETTINGS = SequencingConfig()


def people_with(**changes: np.ndarray) -> People:
    """Women without defects, half of them cases, half on each kit."""
    columns = {
        "sample_id": np.array([f"S{i}" for i in range(N)]),
        "person": np.arange(N),
        "is_case": np.arange(N) % 2 == 0,
        "female": np.ones(N, dtype=bool),
        "sex_error": np.zeros(N, dtype=bool),
        "kit": (np.arange(N) >= N // 2).astype(int),
        "depth": np.full(N, 40.0),
        "missing_rate": np.zeros(N),
        "contamination": np.zeros(N),
        "donor": np.full(N, -1),
        "low_quality": np.zeros(N, dtype=bool),
        "family_id": np.full(N, "NA"),
        "age": np.full(N, 40),
        "ancestry": np.zeros(N, dtype=int),
        "reported_ancestry": np.full(N, "NA"),
    }
    return People(**{**columns, **changes}, pairs=())


def site(dosage: np.ndarray, defect: str = "none", strength: float = 0.0, group: int = -1) -> Alleles:
    return Alleles(
        chromosome=np.array([X]),
        position=np.array([5_000_000]),
        ref=np.array(["A"], dtype=object),
        alt=np.array(["G"], dtype=object),
        locus=np.array([0]),
        consequence=np.array([7]),
        low_confidence=np.array([False]),
        dosage=dosage[None, :].astype(np.uint8),
        defect=np.array([DEFECTS.index(defect)]),
        strength=np.array([strength]),
        group=np.array([group]),
        depth=np.array([[1.0, 0.25]]),
        poor=np.array([[False, True]]),
        off_target=np.array([False]),
    )


def depths(rows: Alleles, people: People, seed: int = 1) -> np.ndarray:
    hemizygous = hemizygous_entries(rows, people, np.array([True]))
    return draw_depths(np.random.default_rng(seed), rows, people, SETTINGS, hemizygous)[0]


def balance(rows: Alleles, people: People) -> np.ndarray:
    return expected_balance(np.random.default_rng(1), rows, people, SETTINGS)[0]


def test_draw_depths__mean_by_kit_and_dispersion():
    drawn = depths(site(np.zeros(N)), people_with())
    assert drawn[: N // 2].mean() == pytest.approx(40, rel=0.03)
    assert drawn[N // 2 :].mean() == pytest.approx(10, rel=0.04)
    assert drawn[: N // 2].var() == pytest.approx(40 + 40**2 / SETTINGS.dispersion, rel=0.15)
    assert drawn.max() <= MAXIMUM_DEPTH


def test_draw_depths__men_have_half_on_x():
    female = np.arange(N) % 4 < 2
    drawn = depths(site(np.zeros(N)), people_with(female=female))[: N // 2]
    assert drawn[~female[: N // 2]].mean() == pytest.approx(20, rel=0.05)


def test_draw_depths__missing_rate():
    drawn = depths(site(np.zeros(N)), people_with(missing_rate=np.where(np.arange(N) < 1_000, 0.3, 0.0)))
    assert np.mean(drawn[:1_000] == 0) == pytest.approx(0.3, abs=0.04)
    assert np.mean(drawn[1_000 : N // 2] == 0) < 0.001


def test_draw_depths__differential_missingness_in_one_status():
    people = people_with()
    drawn = depths(site(np.zeros(N), "differential_missingness", 0.2, group=1), people)[: N // 2]
    case = people.is_case[: N // 2]
    assert np.mean(drawn[case] == 0) == pytest.approx(0.2, abs=0.04)
    assert np.mean(drawn[~case] == 0) < 0.001


def test_draw_depths__low_call_rate_in_everybody():
    drawn = depths(site(np.zeros(N), "low_call_rate", 0.4), people_with())
    assert np.mean(drawn == 0) == pytest.approx(0.4, abs=0.03)


def test_expected_balance__by_copies():
    dosage = np.arange(N) % 3
    values = balance(site(dosage), people_with())
    assert values[:3].tolist() == [0.0, 0.49, 1.0]


def test_expected_balance__contamination_mixes_in_the_donor():
    donor, contamination = np.full(N, -1), np.zeros(N)
    donor[:3], contamination[:3] = 3, 0.1
    dosage = np.zeros(N)
    dosage[:4] = [0, 1, 2, 0]
    values = balance(site(dosage), people_with(donor=donor, contamination=contamination))
    assert values[:4] == pytest.approx([0.0, 0.441, 0.9, 0.0])
    dosage[3] = 2
    values = balance(site(dosage), people_with(donor=donor, contamination=contamination))
    assert values[:4] == pytest.approx([0.1, 0.541, 1.0, 1.0])


def test_expected_balance__batch_artefact_in_one_kit():
    values = balance(site(np.zeros(N), "batch_artefact", 0.3, group=1), people_with())
    assert np.all(values[: N // 2] == 0)
    assert np.mean(values[N // 2 :] > 0.29) == pytest.approx(0.3, abs=0.03)


def test_expected_balance__excess_heterozygotes_in_everybody():
    values = balance(site(np.zeros(N), "excess_heterozygotes", 0.8), people_with())
    assert np.mean(values > 0.29) == pytest.approx(0.8, abs=0.03)
    assert values.max() <= 0.48


def test_draw_alternative_reads__heterozygotes_and_errors():
    depth = np.full((2, N), 40)
    expected = np.zeros((2, N))
    expected[0] = 0.49
    drawn = draw_alternative_reads(np.random.default_rng(1), depth, expected, 0.002)
    assert drawn[0].mean() / 40 == pytest.approx(0.49, abs=0.005)
    assert drawn[1].mean() / 40 == pytest.approx(0.002, rel=0.25)


def test_draw_alternative_reads__never_more_than_there_are():
    depth = np.array([[0, 1, 0]])
    drawn = draw_alternative_reads(np.random.default_rng(1), depth, np.array([[1.0, 1.0, 0.0]]), 0.5)
    assert np.all(drawn <= depth)
