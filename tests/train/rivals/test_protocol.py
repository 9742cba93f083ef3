import numpy as np

from contract.dataset import read_stats
from contract.manifest import read_manifest
from train.config import DataConfig
from train.design import read_design
from train.people import read_people
from train.rivals.protocol import channel_factors, mean_and_factor, scale_covariates
from train.scaling import fit_scaler


def test_channel_factors__same_scale_as_the_network_has(dataset: str) -> None:
    manifest, folds = read_manifest(dataset), [0, 1, 2]
    people = read_people(dataset, manifest, folds, covariates=True)
    scaler = fit_scaler(read_stats(dataset), manifest, people, folds, "channel")
    design = read_design(DataConfig(dataset=dataset, reader="arrow"), manifest, folds)
    np.testing.assert_allclose(channel_factors(design), scaler.factor_F, rtol=1e-5)
    standard = scale_covariates(design)
    np.testing.assert_allclose(standard.mean_P, scaler.covariate_mean_P, rtol=1e-5)
    np.testing.assert_allclose(standard.factor_P, scaler.covariate_factor_P, rtol=1e-5)


def test_mean_and_factor__columns_that_never_vary_get_0() -> None:
    mean_P, factor_P = mean_and_factor(np.array([[1.0, 5.0], [3.0, 5.0]]))
    assert mean_P.tolist() == [2.0, 5.0]
    assert factor_P.tolist() == [1.0, 0.0]
