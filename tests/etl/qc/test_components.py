import numpy as np
import pandas as pd
import pytest
from gnomad.sample_qc.ancestry import run_pca_with_relateds

from etl.qc.components import leading_eigenvectors, principal_components
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
    assert np.allclose(found, wanted * signs, atol=1e-6)
    assert np.abs(found[:, 0]).max() > 0.5


def test_principal_components__no_more_than_markers_that_vary():
    markers = structured_markers().take(np.array([6, 7, 8]))
    assert principal_components(markers, np.ones(60, dtype=bool), 6).shape == (60, 2)
