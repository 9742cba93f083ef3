import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration
from sklearn.metrics import roc_auc_score

from contract.errors import InputError
from train.calibration import (
    CALIBRATION_NAME,
    NO_CALIBRATION,
    SMALLEST_SLOPE,
    Calibration,
    fit_calibration,
    fit_out_of_fold,
    load_calibration,
    save_calibration,
)
from train.people import UNKNOWN, People


def drawn(n: int, slope: float, intercept: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels whose true logit is slope × logit + intercept."""
    random = np.random.default_rng(seed)
    logit_M = random.normal(0, 1.5, n)
    return logit_M, (random.random(n) < expit(slope * logit_M + intercept)).astype(np.int8)


@pytest.mark.parametrize(("slope", "intercept"), [(0.4, -1.0), (1.0, 0.0), (2.5, 3.0)])
def test_fit_calibration__equals_scikit_learns_platt_scaling(slope, intercept):
    logit_M, is_case_M = drawn(2000, slope, intercept)
    found = fit_calibration(logit_M, is_case_M)
    reference = _SigmoidCalibration().fit(logit_M, is_case_M)
    assert (found.slope, found.intercept) == pytest.approx((-reference.a_, -reference.b_), abs=2e-3)
    assert found.probabilities(logit_M) == pytest.approx(reference.predict(logit_M), abs=1e-3)


def test_fit_calibration__finds_the_planted_scaling():
    logit_M, is_case_M = drawn(200_000, 0.5, -0.7)
    found = fit_calibration(logit_M, is_case_M)
    assert (found.slope, found.intercept, found.n) == (
        pytest.approx(0.5, abs=0.02),
        pytest.approx(-0.7, abs=0.02),
        200_000,
    )


def test_fit_calibration__mean_probability_is_the_share_of_platts_targets():
    logit_M, is_case_M = drawn(500, 1.2, 0.3)
    cases = is_case_M.sum()
    target_M = np.where(is_case_M == 1, (cases + 1) / (cases + 2), 1 / (500 - cases + 2))
    found = fit_calibration(logit_M, is_case_M)
    assert found.probabilities(logit_M).mean() == pytest.approx(target_M.mean(), abs=1e-6)


def test_fit_calibration__perfectly_parted_classes_stay_finite():
    found = fit_calibration(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1], np.int8))
    # Platt's targets of two and two are 3/4 and 1/4.
    assert 0 < found.slope < 10
    assert found.intercept == pytest.approx(0, abs=1e-6)


def test_fit_calibration__logits_that_mislead_keep_their_order():
    logit_M, is_case_M = drawn(2000, -1.0, 0.5)
    found = fit_calibration(logit_M, is_case_M)
    assert found.slope == pytest.approx(SMALLEST_SLOPE)
    assert np.ptp(found.probabilities(logit_M)) < 0.05
    assert found.probabilities(logit_M).mean() == pytest.approx(is_case_M.mean(), abs=0.01)
    after = roc_auc_score(is_case_M, found.probabilities(logit_M))
    assert after == roc_auc_score(is_case_M, logit_M)


def test_fit_calibration__one_logit_for_everybody_gives_the_share_of_cases():
    found = fit_calibration(np.full(100, 7.0), np.array([1] * 25 + [0] * 75, np.int8))
    assert found.probabilities(np.array([7.0]))[0] == pytest.approx(0.25, abs=0.01)


def test_fit_calibration__bad_input():
    with pytest.raises(InputError, match=r"labels: found 3 cases and 0 controls, wanted both"):
        fit_calibration(np.zeros(3), np.ones(3, np.int8))
    with pytest.raises(InputError, match=r"logits: found 1 that are not finite(.|\n)*labels: found another"):
        fit_calibration(np.array([np.nan, 0]), np.array([1, UNKNOWN], np.int8))


def test_fit_out_of_fold__leaves_out_people_without_a_label_and_refuses_strangers():
    logit_M, is_case_M = drawn(300, 1.0, 0.0)
    labels = is_case_M.copy()
    labels[:20] = UNKNOWN
    nothing = np.zeros((300, 0), np.float32)
    index = np.arange(300, dtype=np.int32)
    people = People(np.arange(300), index, index % 9, labels, index, nothing)
    order = np.random.default_rng(2).permutation(300)
    scores = pd.DataFrame({"sample_index": order, "logit": logit_M[order]})
    found, wanted = fit_out_of_fold(scores, people), fit_calibration(logit_M[20:], is_case_M[20:])
    assert (found.slope, found.intercept, found.n) == (
        pytest.approx(wanted.slope),
        pytest.approx(wanted.intercept),
        280,
    )
    absent = replace(people, position=np.where(np.arange(300) < 5, -1, np.arange(300)))
    with pytest.raises(InputError, match="found 5 people of other folds, or of none, wanted people of folds"):
        fit_out_of_fold(scores, absent)


def test_save_calibration__comes_back_from_the_bundle(tmp_path):
    assert load_calibration(tmp_path) == NO_CALIBRATION
    saved = Calibration(0.8, -0.1, 900)
    save_calibration(tmp_path, saved)
    assert load_calibration(tmp_path) == saved
    assert [path.name for path in tmp_path.iterdir()] == [CALIBRATION_NAME]


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"slope": -1, "intercept": 0, "n": 3}), '{"slope": 1}']
)
def test_load_calibration__damaged(tmp_path, content):
    (tmp_path / CALIBRATION_NAME).write_text(content)
    with pytest.raises(
        InputError, match=r"calibration.json: whole file: found damaged, wanted slope above 0"
    ):
        load_calibration(tmp_path)
