import numpy as np
import pytest

from train.audit.auroc import Measure
from train.audit.rules import Finding
from train.audit.verdict import weigh

CLEAN = {"manifest": Finding("passed", "", "")}


def measure(deviate: float) -> Measure:
    """An AUROC so many standard errors above 0.5."""
    error = 0.02
    influence_M = np.tile([1.0, -1.0], 500) * error / np.sqrt(1000)
    found = Measure(0.5, influence_M, np.arange(1000), 1000)
    return Measure(0.5 + deviate * found.error, influence_M, np.arange(1000), 1000)


@pytest.mark.parametrize(
    ("people", "deviate", "status"),
    [
        ("sealed", 1.9, "nothing_found"),
        ("sealed", 2.1, "passed"),
        ("out_of_fold", 2.1, "nothing_found"),
        ("out_of_fold", 2.7, "passed"),
        ("validation", 2.5, "nothing_found"),
    ],
)
def test_weigh__people_who_chose_weights_have_to_be_surer(people: str, deviate: float, status: str):
    assert weigh(CLEAN, measure(deviate), people)["status"] == status


def test_weigh__says_why_an_interval_above_one_half_is_not_enough():
    sentence = weigh(CLEAN, measure(2.1), "out_of_fold")["sentence"]
    assert sentence.startswith("Nothing found: AUROC 0.54")
    assert "(the 99% interval holds 0.5)" in sentence
    assert "99%" not in weigh(CLEAN, measure(1.0), "out_of_fold")["sentence"]
