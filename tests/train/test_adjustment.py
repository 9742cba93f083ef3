import numpy as np

from train.adjustment import can_adjust, component_columns, fit_adjustment


def test_fit_adjustment__mean_and_spread_no_longer_follow_the_components():
    rng = np.random.default_rng(1)
    pcs = rng.normal(size=(20_000, 3))
    score = 1 + 2 * pcs[:, 0] - pcs[:, 1] + np.exp(0.5 * pcs[:, 2]) * rng.normal(size=20_000)
    adjusted = fit_adjustment(score, pcs).adjust(score, pcs)
    assert abs(np.mean(adjusted)) < 0.02
    assert np.abs(np.corrcoef(adjusted, pcs.T)[0, 1:]).max() < 0.04
    assert np.abs(np.corrcoef(adjusted**2, pcs.T)[0, 1:]).max() < 0.04
    low, high = pcs[:, 2] < -1, pcs[:, 2] > 1
    assert score[high].std() > 1.3 * score[low].std()
    assert abs(adjusted[high].std() - adjusted[low].std()) < 0.05


def test_fit_adjustment__units_of_score_and_components_do_not_matter():
    rng = np.random.default_rng(2)
    pcs, score = rng.normal(size=(300, 2)), rng.normal(size=300)
    adjusted = fit_adjustment(score, pcs).adjust(score, pcs)
    scaled = fit_adjustment(5 + 3 * score, 0.01 * pcs - 7).adjust(5 + 3 * score, 0.01 * pcs - 7)
    np.testing.assert_allclose(scaled, adjusted, rtol=1e-3, atol=1e-3)


def test_adjust__spread_is_not_extrapolated():
    rng = np.random.default_rng(3)
    pcs = rng.normal(size=(500, 1))
    fitted = fit_adjustment(np.exp(pcs[:, 0]) * rng.normal(size=500), pcs)
    far = np.array([[50.0], [-50.0]])
    spread = 1 / (fitted.adjust(fitted.mean.predict(far) + 1, far))
    np.testing.assert_allclose(np.sort(spread**2), fitted.variances)


def test_component_columns__by_name():
    assert component_columns(["is_female", "pc1", "pc10", "batch_pc1"]) == [1, 2]


def test_can_adjust__ten_people_for_each_term():
    assert can_adjust(30, 2)
    assert not can_adjust(29, 2)
    assert not can_adjust(1000, 0)
