from dataclasses import replace

import numpy as np
import pytest
import torch

from contract.dataset import read_samples, read_stats
from contract.errors import InputError
from contract.manifest import Manifest, read_manifest
from train.people import read_people
from train.scaling import Densifier, Scaler, fit_scaler, make_batch
from train.sparse import SparseRows


def dense_features(root: str, manifest: Manifest, folds: list[int]) -> np.ndarray:
    frame = read_samples(root, manifest, folds)
    x = np.zeros((len(frame), manifest.n_features), np.float32)
    for row, (indices, values) in enumerate(zip(frame["indices"], frame["values"], strict=True)):
        x[row, indices] = values
    return x


def test_fit_scaler__equals_dense_moments_of_the_training_folds(dataset: str):
    manifest, folds = read_manifest(dataset), [1, 2, 3]
    people = read_people(dataset, manifest, folds, covariates=True)
    scaler = fit_scaler(read_stats(dataset), manifest, people, folds, "standard")
    x = dense_features(dataset, manifest, folds)
    np.testing.assert_allclose(scaler.mean_F, x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaler.factor_F, 1 / x.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(scaler.covariate_mean_P, people.covariates_MP.mean(axis=0))


def test_fit_scaler__refuses_sums_that_are_not_finite(dataset: str):
    manifest, folds = read_manifest(dataset), [1, 2, 3]
    people, stats = read_people(dataset, manifest, folds, covariates=True), read_stats(dataset)
    of_another = stats["fold"] == 0
    fit_scaler(stats.assign(sum=stats["sum"].mask(of_another)), manifest, people, folds)
    stats.loc[np.flatnonzero(stats["fold"] == 2)[3], "sum_squares"] = np.nan
    with pytest.raises(InputError, match=r"sum_squares: found a sum that is not finite \(fold 2, channel \d"):
        fit_scaler(stats, manifest, people, folds)


def test_fit_scaler__a_constant_covariate_is_silent(dataset: str):
    manifest, folds = read_manifest(dataset), [1, 2, 3]
    people = read_people(dataset, manifest, folds, covariates=True)
    same = replace(people, covariates_MP=np.full_like(people.covariates_MP, 70.3))
    assert fit_scaler(read_stats(dataset), manifest, same, folds).covariate_factor_P.tolist() == [0.0]


def test_fit_scaler__channel_shares_one_deviation(dataset: str):
    manifest, folds = read_manifest(dataset), [1, 2, 3]
    people = read_people(dataset, manifest, folds, covariates=False)
    scaler = fit_scaler(read_stats(dataset), manifest, people, folds, "channel")
    variance = dense_features(dataset, manifest, folds)[:, :60].var(axis=0)
    np.testing.assert_allclose(scaler.factor_F[:60], 1 / np.sqrt(variance.mean()), rtol=1e-4)


def test_fit_scaler__people_outside_the_folds_do_not_matter(dataset: str):
    manifest, stats = read_manifest(dataset), read_stats(dataset)
    people = read_people(dataset, manifest, [1, 2, 9], covariates=True)
    changed = stats.assign(sum=stats["sum"].where(stats["fold"].isin([1, 2]), 1e6))
    for kind in ("standard", "channel"):
        first = fit_scaler(stats, manifest, people, [1, 2], kind)
        second = fit_scaler(changed, manifest, people, [1, 2], kind)
        np.testing.assert_array_equal(first.mean_F, second.mean_F)
        np.testing.assert_array_equal(first.factor_F, second.factor_F)


def test_densifier__by_hand(dataset: str):
    people = read_people(dataset, read_manifest(dataset), [0], covariates=True)
    scaler = Scaler(
        mean_F=np.array([1, 0, 0, 5], np.float32),
        factor_F=np.array([2, 1, 10, 0], np.float32),  # the last feature never varied in training
        covariate_mean_P=np.zeros(1, np.float32),
        covariate_factor_P=np.ones(1, np.float32),
    )
    rows = SparseRows(
        people.sample_M[:2],
        np.array([0, 2, 3]),
        np.array([0, 3, 2], np.int32),
        np.array([4, 7, 0.5], np.float32),
    )
    densify = Densifier(scaler, 2, torch.device("cpu"))
    assert densify(make_batch(rows, people, scaler)).tolist() == [[[6, 0], [0, 0]], [[-2, 0], [5, 0]]]
    # The block of memory is used again: nothing of the batch before may be left in it.
    assert densify(make_batch(rows.slice(1, 2), people, scaler)).tolist() == [[[-2, 0], [5, 0]]]
    assert densify(make_batch(rows.take(np.array([1, 0])), people, scaler)).tolist() == [
        [[-2, 0], [5, 0]],
        [[6, 0], [0, 0]],
    ]


@pytest.mark.parametrize("kind", ["standard", "channel"])
def test_densifier__equals_dense_scaling(dataset: str, kind: str):
    manifest = read_manifest(dataset)
    people = read_people(dataset, manifest, [0, 1], covariates=True)
    scaler = fit_scaler(read_stats(dataset), manifest, people, [0, 1], kind)
    frame = read_samples(dataset, manifest, [1])
    rows = SparseRows(
        frame["sample_index"].to_numpy(),
        np.cumsum([0, *frame["indices"].str.len()]),
        np.concatenate(frame["indices"]),
        np.concatenate(frame["values"]),
    )
    x_BCG = Densifier(scaler, 4, torch.device("cpu"))(make_batch(rows, people, scaler))
    expected = (dense_features(dataset, manifest, [1]) - scaler.mean_F) * scaler.factor_F
    np.testing.assert_allclose(x_BCG.reshape(100, -1).numpy(), expected, atol=1e-4)
