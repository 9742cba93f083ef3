import numpy as np
import pytest

from contract.manifest import read_manifest
from tests.train.runs import CAUSAL, ConfigMaker
from train.design import Design, read_design
from train.explain.refits import columns_of, refit_for


@pytest.fixture
def design(make_config: ConfigMaker) -> Design:
    config = make_config()
    return read_design(config.data, read_manifest(config.data.dataset), range(9))


def test_refit__finds_planted_genes_without_the_fold(make_config: ConfigMaker, design: Design) -> None:
    refit = refit_for(make_config(), design)
    inclusion_G, effect_CG = refit(4, 1)
    assert effect_CG.shape == (4, 60)
    assert set(np.argsort(-inclusion_G)[:3]) == set(CAUSAL)
    assert (effect_CG[0, list(CAUSAL)] > 0.5).all()
    is_case_M = np.where(design.fold_M == 4, 1 - design.is_case_M, design.is_case_M)
    changed = Design(**{**vars(design), "is_case_M": is_case_M.astype(np.int8)})
    again_G, _ = refit_for(make_config(), changed)(4, 1)
    # The last bits of sums in a library may differ from call to call; a label that is seen changes far more.
    assert again_G == pytest.approx(inclusion_G, rel=1e-9)


def test_columns_of__same_features(design: Design) -> None:
    columns, dense_MF = columns_of(design), design.x_MF.toarray()
    np.testing.assert_allclose(columns.mean_F(), dense_MF.mean(axis=0), rtol=1e-5)
    own = slice(columns.start_F[70], columns.start_F[71])
    assert columns.person_N[own].tolist() == np.flatnonzero(dense_MF[:, 70]).tolist()


def test_refit_for__network_without_gene_effects(make_config: ConfigMaker, design: Design) -> None:
    assert refit_for(make_config(model={"kind": "paper"}), design) is None
