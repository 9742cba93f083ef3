import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from contract.config import build_config
from train.config import TrainConfig
from train.summary import Judged, Reference, summarise

CONFIG = build_config(
    TrainConfig,
    {
        "data": {"dataset": "x"},
        "run": {"out": "y"},
        "evaluation": {"bootstrap_draws": 100, "prevalence": 0.01},
    },
    "test",
)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def judged() -> Judged:
    """Two hundred people in pairs; a good network, a worse regression, covariates that tell nothing."""
    rng = np.random.default_rng(1)
    y = rng.permutation(np.arange(200) % 2).astype(np.int8)
    score = 1.5 * (y - 0.5) + rng.normal(size=200)
    return Judged(
        is_case_M=y,
        sample_M=np.arange(200, dtype=np.int32),
        family_M=np.arange(200, dtype=np.int32) // 2,
        probabilities={
            "cnn": sigmoid(score),
            "logistic": sigmoid(score + rng.normal(size=200)),
            "covariates": sigmoid(0.1 * rng.normal(size=200)),
        },
        components_MK=rng.normal(size=(200, 2)),
        components=("pc1", "pc2"),
    )


def null(judged: Judged) -> Judged:
    """The same people with a network that learned nothing and gives nearly everybody the same probability."""
    rng = np.random.default_rng(2)
    return replace(judged, probabilities={"cnn": sigmoid(-0.1 + 0.003 * rng.normal(size=200))})


def test_summarise__values_and_increments(judged: Judged):
    found = summarise(judged, CONFIG)
    y, p = judged.is_case_M, judged.probabilities
    gained = roc_auc_score(y, p["cnn"]) - roc_auc_score(y, p["covariates"])
    assert found["cnn"]["auroc"]["estimate"] == pytest.approx(roc_auc_score(y, p["cnn"]))
    assert found["increments"]["auroc"]["estimate"] == pytest.approx(gained)
    assert found["increments"]["auroc"] == found["auroc_differences"]["cnn - covariates"]
    assert found["increments"]["auroc"]["low"] > 0
    assert found["increments"]["brier"]["high"] < 0
    assert found["increments"]["brier"]["estimate"] == pytest.approx(
        found["cnn"]["brier"]["estimate"] - found["covariates"]["brier"]["estimate"]
    )
    assert "calibration_slope" not in found["increments"]
    assert found["auroc"] == found["cnn"]["auroc"]
    assert set(found["cnn"]) == set(found["logistic"]) == set(found["covariates"])
    assert found["cnn"]["calibration_slope"]["low"] < 1.5 < found["cnn"]["calibration_slope"]["high"]


def test_summarise__same_seed_same_words_and_never_nan(judged: Judged):
    for people in (judged, null(judged)):
        text = json.dumps(summarise(people, CONFIG), allow_nan=False)
        assert text == json.dumps(summarise(people, CONFIG), allow_nan=False)


def test_summarise__null_cohort_has_words_in_place_of_a_slope(judged: Judged):
    found = summarise(null(judged), CONFIG)
    slope = found["cnn"]["calibration_slope"]
    assert (slope["estimate"], slope["low"], slope["high"]) == (None, None, None)
    assert slope["note"] == "the scores hardly vary (logits by 0.003): a slope says nothing"
    assert found["cnn"]["sensitivity"]["note"] == "everybody is called a control at 0.5"
    assert found["operating_point"]["f1"]["note"] == "everybody is called a control at 0.5"
    assert found["cnn"]["auroc"]["low"] < 0.5 < found["cnn"]["auroc"]["high"]
    assert found["cnn"]["liability_r2"]["low"] <= 0
    assert found["increments"] == {}


def test_summarise__one_score_for_everybody(judged: Judged):
    found = summarise(replace(judged, probabilities={"cnn": np.full(200, 0.4)}), CONFIG)
    assert found["cnn"]["auroc"]["estimate"] == 0.5
    assert "a slope says nothing" in found["cnn"]["calibration_slope"]["note"]
    assert found["adjusted"]["auroc"]["note"] == "the scores do not vary"


def test_summarise__perfect_scores_are_not_certain(judged: Judged):
    y = judged.is_case_M
    found = summarise(replace(judged, probabilities={"cnn": 0.1 + 0.8 * y}), CONFIG)
    slope = found["cnn"]["calibration_slope"]
    assert slope["note"] == "the scores separate cases from controls: no slope is finite"
    families = min(len(np.unique(judged.family_M[y == label])) for label in (0, 1))
    for metric in ("auroc", "accuracy", "sensitivity"):
        assert found["cnn"][metric]["estimate"] == found["cnn"][metric]["high"] == 1.0
        assert found["cnn"][metric]["low"] == pytest.approx(0.025 ** (1 / families))


def test_summarise__few_people_have_no_slope(judged: Judged):
    few = replace(
        judged,
        is_case_M=np.array([0, 1, 1, 0, 1, 0], np.int8),
        family_M=np.arange(6, dtype=np.int32),
        probabilities={"cnn": np.array([0.2, 0.3, 0.9, 0.6, 0.5, 0.45])},
        components_MK=np.zeros((6, 2)),
    )
    found = summarise(few, CONFIG)
    assert found["cnn"]["calibration_slope"]["note"] == "too few people for a slope"
    assert found["adjusted"]["auroc"]["note"] == "6 people are too few for 2 ancestry components"


def test_summarise__operating_point_is_configured_without_people_to_choose_it(judged: Judged):
    found = summarise(judged, CONFIG)
    point = found["operating_point"]
    assert (point["threshold"], point["chosen_on"]) == (
        0.5,
        "nobody: the configured threshold (evaluation.threshold)",
    )
    assert point["sensitivity"] == found["cnn"]["sensitivity"]


def test_summarise__operating_point_is_chosen_on_people_out_of_fold(judged: Judged):
    # Outside the sealed fold cases and controls part at a logit of -1, so at a probability of .269.
    reference = Reference(
        np.array([0, 0, 1, 1], np.int8), np.array([-3.0, -2.0, -1.0, 0.0]), np.zeros((4, 2))
    )
    point = summarise(replace(judged, reference=reference), CONFIG)["operating_point"]
    assert point["threshold"] == pytest.approx(sigmoid(np.array(-1.0)))
    assert point["chosen_on"].startswith("people outside the sealed fold, each scored by a fit without")
    called = judged.probabilities["cnn"] >= point["threshold"]
    assert point["sensitivity"]["estimate"] == called[judged.is_case_M == 1].mean()


def test_summarise__ancestry_alone_is_adjusted_away(judged: Judged):
    # Status follows a component, and the score is that component: nothing is left within ancestries.
    rng = np.random.default_rng(5)

    def people(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pcs = rng.normal(size=(n, 2))
        y = (rng.random(n) < sigmoid(2 * pcs[:, 0])).astype(np.int8)
        return y, pcs, 2 * pcs[:, 0] + 0.3 * rng.normal(size=n)

    y, pcs, score = people(200)
    sealed = replace(judged, is_case_M=y, components_MK=pcs, probabilities={"cnn": sigmoid(score)})
    found = summarise(sealed, CONFIG)["adjusted"]
    assert found["fitted_on"] == "the people of the sealed fold themselves"
    assert found["auroc"]["low"] < 0.5 < found["auroc"]["high"]
    assert found["difference"]["high"] < -0.1
    y, pcs, score = people(1000)
    found = summarise(replace(sealed, reference=Reference(y, score, pcs)), CONFIG)["adjusted"]
    assert found["fitted_on"].startswith("people outside the sealed fold")
    assert found["auroc"]["low"] < 0.5 < found["auroc"]["high"]


def test_summarise__dataset_without_components(judged: Judged):
    found = summarise(replace(judged, components_MK=np.empty((200, 0)), components=()), CONFIG)["adjusted"]
    assert found["auroc"]["estimate"] is None
    assert found["auroc"]["note"] == "the dataset names no ancestry components"


def test_summarise__error_by_chance_stands_beside_the_calibration_error(judged: Judged):
    error = summarise(judged, CONFIG)["cnn"]["expected_calibration_error"]
    assert 0 < error["if_calibrated"] < 0.12
    assert error["binned"] > error["estimate"]
    assert error["low"] <= error["estimate"] < error["high"]


def test_summarise__people_in_families_are_told_apart_less(judged: Judged):
    alone = replace(judged, family_M=np.arange(200, dtype=np.int32))
    copied = replace(
        alone,
        is_case_M=np.repeat(alone.is_case_M, 2),
        family_M=np.repeat(alone.family_M, 2),
        sample_M=np.arange(400, dtype=np.int32),
        components_MK=np.repeat(alone.components_MK, 2, axis=0),
        probabilities={name: np.repeat(p, 2) for name, p in alone.probabilities.items()},
    )
    one, two = summarise(alone, CONFIG), summarise(copied, CONFIG)
    for metric in ("auroc", "brier", "accuracy"):
        for bound in ("estimate", "low", "high"):
            assert two["cnn"][metric][bound] == pytest.approx(one["cnn"][metric][bound])
