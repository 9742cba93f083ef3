import pytest

from tests.train.report.example import example_audit, example_ladder, interval
from train.report.whiskers import ladder_panels, rungs, strata_of, strata_panel


def test_rungs__best_first_and_unmeasured_last():
    found = rungs(example_ladder("x"))
    assert found[0].name == "network (ours)"
    assert (found[0].is_own, found[0].gain) == (True, "")
    assert found[1].gain == "0.026 (0.014 to 0.038)"
    assert found[1].spread == "0.730 to 0.737"
    assert (found[-1].name, found[-1].auroc, found[-1].notes) == (
        "polygenic score",
        "not measured",
        "no score was given",
    )


def test_rungs__a_worse_network_stands_where_it_belongs():
    rows = [{"model": "network", "auroc": interval(0.6)}, {"model": "ridge", "auroc": interval(0.7)}]
    ladder = {"rows": rows, "differences": [{"rival": "ridge", **interval(-0.1)}]}
    assert [rung.name for rung in rungs(ladder)] == ["logistic regression, ridge", "network (ours)"]
    assert rungs(ladder)[0].gain == "−0.100 (−0.120 to −0.080)"
    scores, gains = ladder_panels(ladder)
    assert scores.table["model"].tolist() == ["logistic regression, ridge", "network (ours)"]
    assert gains.table["estimate"].tolist() == [-0.1]


def test_ladder_panels__nothing_measured():
    assert ladder_panels({"rows": [{"model": "ridge", "auroc": None, "note": "failed"}]}) == []


def test_strata_of__leaves_out_strata_of_few_people():
    strata, hidden = strata_of(example_audit("x"))
    assert [one["name"] for one in strata] == ["batch1 × nfe", "batch1 × fin", "batch2 × nfe"]
    assert hidden == 1
    assert strata_panel(strata).table["estimate"].tolist() == pytest.approx([0.55, 0.58, 0.61])


def test_strata_of__without_names_by_number_and_nothing_elsewhere():
    rows = [{"people": 900, "cases": 400, **interval(0.6)}, {"people": 50, "cases": 46, **interval(0.5)}]
    checks = [
        {"name": "a", "numbers": {"pairs": 3}},
        {"name": "b", "numbers": {"by_stratum": rows}},
        {"name": "c"},
    ]
    strata, hidden = strata_of({"checks": checks})
    assert [(one["name"], one["estimate"]) for one in strata] == [("stratum 1 (900 people)", 0.6)]
    assert (hidden, strata_of(None)) == (1, ([], 0))
