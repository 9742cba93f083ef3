import json

import numpy as np
import pandas as pd
import pytest

from deploy.truth_qc import _figures, _ratio
from etl.simulate.recovery import Specificity


def score(wrong: int) -> Specificity:
    groups = pd.DataFrame({"group": ["batch w1", "batch w2"], "clean": [60, 40], "wrong": [wrong, 0]})
    return Specificity(100, wrong, 1_000, 2 * wrong, groups, {"call_rate": wrong})


def test_figures__sums_over_cohorts():
    table = pd.DataFrame({"planted": [4], "found": [3]}, index=["pair: duplicate"])
    figures = json.loads(json.dumps(_figures(table, [score(1), score(2)])))
    assert figures["kinds"] == {"pair: duplicate": {"planted": 4, "found": 3}}
    assert (figures["people_clean"], figures["people_wrong"]) == (200, 3)
    assert (figures["variants_clean"], figures["variants_wrong"]) == (2_000, 6)
    assert figures["people_by_group"]["batch w1"] == {"clean": 120, "wrong": 3}
    assert figures["reasons_of_clean"] == {"call_rate": 3}


def test_ratio__of_means_with_an_interval():
    rng = np.random.default_rng(1)
    people = pd.DataFrame({"family": np.arange(600), "sealed": np.arange(600) % 3 == 0})
    people["same"] = rng.poisson(10, 600)
    people["more"] = np.where(people["sealed"], 20, 10) + rng.integers(0, 2, 600)
    same, more = (_ratio(people, mask) for mask in ("same", "more"))
    assert same["low"] < 1 < same["high"]
    assert same["high"] - same["low"] < 0.15
    assert more["ratio"] == pytest.approx(20.5 / 10.5, abs=0.02)
    assert more["low"] > 1.8


def test_ratio__families_are_drawn_whole():
    people = pd.DataFrame(
        {"family": np.repeat(np.arange(20), 10), "sealed": np.repeat(np.arange(20) < 10, 10)}
    )
    people["mask"] = np.repeat(np.random.default_rng(2).normal(10, 3, 20), 10)
    alone = _ratio(people.assign(family=np.arange(200)), "mask")
    together = _ratio(people, "mask")
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])
