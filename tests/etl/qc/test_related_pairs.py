from pathlib import Path

import hail as hl
import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.kinship import king
from etl.qc.plink import HOM_ALT_BITS, HOM_REF_BITS, MarkerFile, Markers, pack, read_plink, write_plink
from etl.qc.related_pairs import estimate_kinship, measure_ibs0, standard_error, with_components
from etl.thresholds import Profile, RelatednessThresholds
from tests.etl.qc.families import family, half_siblings, markers_of


@pytest.fixture(scope="module")
def limits() -> RelatednessThresholds:
    return load_config(Profile, PROFILES / "bipex.yaml").relatedness


def pairs(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["first", "second", "kinship"])


def called(markers: Markers) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": markers.people, "call_rate": 0.99})


def test_with_components__fitted_on_the_better_called_whatever_the_status(limits: RelatednessThresholds):
    markers = markers_of(family(50, 3))
    people = called(markers).assign(is_case=[1, 0, 0, 0, 0, 0, 0, 0])
    people.loc[1, "call_rate"] = 0.995
    close = pairs(("P000", "P001", 0.25), ("P000", "P002", 0.05))
    assert with_components(close, markers, people, limits).fitted_P.tolist() == [False] + [True] * 7


@pytest.mark.usefixtures("hail_session")
def test_estimate_kinship__finds_the_family_and_nobody_else(limits: RelatednessThresholds, tmp_path: Path):
    markers = markers_of(family(2000, 200))
    file = write_plink(markers, str(tmp_path / "markers"))
    found = estimate_kinship(markers, file, called(markers), limits)
    close = found.pairs[found.pairs["kinship"] >= limits.min_kinship_family].set_index(["first", "second"])
    parents_and_children = {(parent, child) for parent in (0, 1) for child in (2, 3, 4)}
    family_pairs = parents_and_children | {(2, 3), (3, 4), (2, 4)}
    assert set(close.index) == {(f"P00{first}", f"P00{second}") for first, second in family_pairs}
    assert close["kinship"]["P002", "P004"] == pytest.approx(0.5, abs=0.02)
    assert close["kinship"]["P000", "P003"] == pytest.approx(0.25, abs=0.03)
    # The parents, or one child and nobody else of the five.
    assert found.fitted_P[5:].all()
    assert 1 <= found.fitted_P[:5].sum() <= 2


@pytest.mark.usefixtures("hail_session")
def test_estimate_kinship__relatives_of_different_ancestry_whom_king_misses(
    limits: RelatednessThresholds, tmp_path: Path
):
    markers = markers_of(half_siblings(3000, 200))
    file = write_plink(markers, str(tmp_path / "markers"))
    siblings = {(first, first + 1) for first in range(0, 12, 2)}
    by_king = king(file, slice(0, 12), slice(0, 12))
    assert max(by_king[pair] for pair in siblings) < limits.min_kinship_family
    found = estimate_kinship(markers, file, called(markers), limits)
    close = found.pairs[found.pairs["kinship"] >= limits.min_kinship_family]
    assert {(int(row.first[1:]), int(row.second[1:])) for row in close.itertuples()} == siblings
    # One component is ancestry; the others fit the families, and would hide them.
    assert found.n_above_noise == 1


def test_standard_error__rare_markers_tell_less():
    # 16 markers of frequency ½; and with as many of frequency 1/8, whose pq is 7/16 as large.
    common, rare = [0, 1, 1, 2] * 2, [0, 0, 0, 0, 0, 0, 0, 2]
    assert standard_error(markers_of(np.array([common] * 16))) == pytest.approx(0.5 / 4)
    both = markers_of(np.array([common, rare] * 16))
    assert standard_error(both) == pytest.approx(0.5 * np.sqrt(1 + (7 / 16) ** 2) / (1 + 7 / 16) / 4)


def test_measure_ibs0__people_without_markers_are_missing():
    sites = pd.DataFrame({"contig": "1", "position": [1, 2], "ref": "A", "alt": "C"})
    bits = np.array([[HOM_REF_BITS, HOM_ALT_BITS], [HOM_REF_BITS, HOM_REF_BITS]], dtype=np.uint8)
    markers = Markers(sites, ("A", "B"), pack(bits))
    found = measure_ibs0(pairs(("A", "B", 0.25), ("A", "gone", 0.25)), markers)
    assert found.tolist() == [0.5, pytest.approx(np.nan, nan_ok=True)]
    assert measure_ibs0(pairs(), markers).empty


@pytest.mark.usefixtures("hail_session")
def test_estimate_kinship__agrees_with_genesis(
    shared_data: Path, limits: RelatednessThresholds, tmp_path: Path
):
    folder = shared_data / "01_hail_test_resources"
    mt = hl.import_vcf(str(folder / "pc_relate_bn_input.vcf.bgz"), reference_genome="GRCh37")
    prefix = str(tmp_path / "markers")
    hl.export_plink(mt, prefix, ind_id=mt.s)
    markers = read_plink(prefix)
    settings = limits.model_copy(update={"n_components": 2})
    found = estimate_kinship(markers, MarkerFile(prefix, len(markers), 100), called(markers), settings).pairs
    truth = pd.read_csv(folder / "pc_relate_r_truth.tsv.bgz", sep="\t", compression="gzip")
    for column in ("i", "j"):
        truth[column] = truth[column].str.extract(r'"s":"(.*)"')
    truth["pair"] = [frozenset(pair) for pair in zip(truth["i"], truth["j"], strict=True)]
    kinship = dict(zip(truth["pair"], truth["kin"], strict=True))
    wanted = {pair for pair, value in kinship.items() if value > 0.055}
    estimated = {frozenset((row.first, row.second)): row.kinship for row in found.itertuples()}
    assert wanted <= set(estimated)
    assert all(abs(kinship[pair] - value) < 0.01 for pair, value in estimated.items())
