import numpy as np
import pandas as pd
import pytest
from gnomad.sample_qc.ancestry import run_pca_with_relateds

from etl.qc.components import find_components, principal_components
from etl.qc.eigenvectors import leading_eigenvectors
from etl.qc.plink import Markers, pack, write_plink
from tests.etl.qc.hail_markers import markers_matrix


def test_leading_eigenvectors__by_hand():
    matrix = np.diag([1.0, 9.0, 4.0])
    found = leading_eigenvectors(lambda columns: matrix @ columns, 3, 2)
    assert np.allclose(found, [[0, 0], [1, 0], [0, 1]])


@pytest.mark.parametrize("rank", [5, 40, 900])
def test_leading_eigenvectors__equal_those_of_the_whole_matrix(rank: int):
    factor = np.random.default_rng(rank).standard_normal((900, rank))
    matrix = factor @ factor.T
    found = leading_eigenvectors(lambda columns: matrix @ columns, 900, 4)
    wanted = np.linalg.eigh(matrix)[1][:, ::-1][:, :4]
    assert np.allclose(np.abs(found), np.abs(wanted), atol=1e-5)
    assert np.all(found[np.abs(found).argmax(axis=0), range(4)] > 0)


def structured_markers() -> Markers:
    """60 people of three populations, 300 markers; some calls missing, one marker without variation."""
    rng = np.random.default_rng(6)
    frequency = np.clip(rng.uniform(0.1, 0.9, (300, 1)) + rng.normal(0, 0.15, (300, 3)), 0.02, 0.98)
    alleles = rng.binomial(2, np.repeat(frequency, 20, axis=1))
    alleles[7] = 0
    bits = np.array([3, 2, 0], dtype=np.uint8)[alleles]
    bits[rng.random(bits.shape) < 0.03] = 1
    sites = pd.DataFrame({"contig": "chr1", "position": range(1, 301), "ref": "A", "alt": "C"})
    return Markers(sites, tuple(f"P{number:02d}" for number in range(60)), pack(bits))


@pytest.mark.usefixtures("hail_session")
def test_principal_components__equal_those_of_hail_and_gnomad(tmp_path):
    markers = structured_markers()
    fitted = np.arange(60) % 3 > 0
    found = principal_components(markers, fitted, 3)
    write_plink(markers, str(tmp_path / "markers"))
    mt = markers_matrix(str(tmp_path / "markers"), "GRCh38")
    mt = mt.filter_rows(mt.locus.position != 8)  # gnomAD's function wants markers that vary
    cols = mt.add_col_index().cols()
    _, scores, _ = run_pca_with_relateds(mt, cols.filter(cols.col_idx % 3 == 0).select(), n_pcs=3)
    frame = scores.to_pandas().set_index("s").loc[list(markers.people)]
    wanted = np.array(frame["scores"].tolist())
    signs = np.sign((found * wanted).sum(axis=0))
    # Both project the others plainly; ours corrects that, see below.
    assert np.allclose(found[fitted], (wanted * signs)[fitted], atol=1e-6)
    assert np.abs(found[:, 0]).max() > 0.5


def test_principal_components__no_more_than_markers_that_vary():
    markers = structured_markers().take(np.array([6, 7, 8]))
    assert principal_components(markers, np.ones(60, dtype=bool), 6).shape == (60, 2)


def populations(sizes: tuple[int, ...], f_st: float, n_markers: int, seed: int) -> Markers:
    """People of populations that drifted apart by `f_st` (Balding & Nichols 1995)."""
    random = np.random.default_rng(seed)
    ancestral = random.uniform(0.1, 0.9, (n_markers, 1))
    shape = (1 - f_st) / f_st
    frequency = random.beta(ancestral * shape, (1 - ancestral) * shape, (n_markers, len(sizes)))
    alleles = random.binomial(2, np.repeat(frequency, sizes, axis=1))
    sites = pd.DataFrame({"contig": "chr1", "position": range(n_markers), "ref": "A", "alt": "C"})
    bits = np.array([3, 2, 0], dtype=np.uint8)[alleles]
    return Markers(sites, tuple(f"P{number}" for number in range(alleles.shape[1])), pack(bits))


@pytest.mark.parametrize("seed", range(3))
def test_find_components__one_population_has_none_above_noise(seed: int):
    markers = populations((240,), 1e-6, 2000, seed)
    found = find_components(markers, np.arange(240) < 200, 6)
    assert found.n_above_noise == 0
    assert found.eigenvalues_K[0] > 0.9 * found.edges_K[0], "the edge is near"
    ratio = found.scores_PK[200:].std(axis=0) / found.scores_PK[:200].std(axis=0)
    assert ratio[0] < 0.5, "plain projection of noise: what a covariate would tell of who was fitted"


def test_find_components__as_many_above_noise_as_populations_less_one():
    markers = populations((100, 60, 60, 30), 0.01, 2000, seed=4)
    assert find_components(markers, np.arange(250) % 5 > 0, 6).n_above_noise == 3


def test_find_components__people_who_were_not_fitted_spread_like_the_others():
    sizes = (300, 300, 300)
    markers = populations(sizes, 0.004, 2000, seed=5)
    fitted = np.arange(900) % 3 > 0
    found = find_components(markers, fitted, 6)
    assert found.n_above_noise == 2
    kept = found.scores_PK[:, :2]
    ratio = kept[~fitted].std(axis=0) / kept[fitted].std(axis=0)
    assert np.all(np.abs(ratio - 1) < 0.1), ratio
