from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("plotly")

from etl.associate.inflation import Inflation
from etl.report.gates import hwe_inflation, judge
from etl.report.variant_figures import equilibrium_quantiles
from etl.report.variants import P_EDGES
from tests.etl.report.example import attrition_of, full_report, gate_limits


def verdicts(data):
    return {gate.name: gate.verdict for gate in judge(data, gate_limits())}


def with_people(data, people):
    return replace(data, people=people, attrition=attrition_of(people))


def test_judge__a_batch_of_cases_alone_fails():
    data = full_report(n_people=600)
    assert verdicts(data)["Batches hold cases and controls"] == "pass"
    people = data.people.copy()
    people.loc[(people["batch"] == "wave1") & (people["status"] == "control"), "status"] = "case"
    found = [
        gate for gate in judge(with_people(data, people), gate_limits()) if gate.name.startswith("Batches")
    ]
    assert (found[0].verdict, found[0].found) == ("fail", "only cases or only controls in wave1")


def test_judge__cases_removed_more_often_warns():
    data = full_report(n_people=600)
    assert verdicts(data)["Cases and controls removed alike"] == "pass"
    people = data.people.copy()
    people.loc[(people["sample_metrics"] != "") & (people["status"] == "control"), "status"] = "case"
    assert verdicts(with_people(data, people))["Cases and controls removed alike"] == "warn"


def test_judge__missingness_that_differs_warns():
    data = full_report(n_people=600)
    people = data.people.assign(call_rate=np.where(data.people["status"] == "case", 0.99, 0.98))
    assert verdicts(replace(data, people=people))["Missingness of cases and controls"] == "warn"


def test_judge__allele_balance_that_differs_warns():
    data = full_report(n_people=600)
    people = data.people.assign(high_balance=data.people["status"].eq("case") * 0.01)
    assert verdicts(replace(data, people=people))["Heterozygotes with high allele balance"] == "warn"


@pytest.mark.parametrize(("p", "verdict"), [(0.5, "pass"), (0.005, "warn"), (1e-6, "fail")])
def test_judge__synonymous_burden(p, verdict):
    data = full_report()
    assert verdicts(replace(data, burden=data.burden.assign(p=p)))["Burden of synonymous alike"] == verdict


@pytest.mark.parametrize(
    ("value", "low", "verdict"), [(1.3, 1.05, "warn"), (1.3, 0.95, "pass"), (1.08, 1.02, "pass")]
)
def test_judge__inflation_of_synonymous_burden_tests(value, low, verdict):
    data = full_report()
    found = [Inflation(name, 400, value, low, value + 0.2) for name in ("plof", "synonymous")]
    judged = verdicts(replace(data, association=replace(data.association, inflation=found)))
    assert judged["Inflation of synonymous burden tests"] == verdict
    assert "Inflation of plof burden tests" not in judged, "effects are expected there"


def test_judge__relatives_in_different_folds_fail():
    assert verdicts(replace(full_report(), n_pairs_across_folds=1))["Families and folds"] == "fail"


def test_judge__sealed_people_move_no_comparison_of_status():
    data = full_report(n_people=600)
    sealed = data.people["status"] == "sealed"
    people = data.people.copy()
    people.loc[sealed, ["call_rate", "high_balance"]] = 0.0
    changed = judge(replace(data, people=people), gate_limits())
    assert [gate for gate in changed if "controls" in gate.found] == [
        gate for gate in data.gates if "controls" in gate.found
    ]
    assert sealed.any()


def test_hwe_inflation__uniform_p_values_have_none():
    p = (np.arange(100_000) + 0.5) / 100_000
    assert hwe_inflation(np.histogram(-np.log10(p), P_EDGES)[0], 1) == pytest.approx(1.0, abs=0.02)


def test_equilibrium_quantiles__smallest_of_three_groups_is_corrected():
    p = np.random.default_rng(3).uniform(size=(20_000, 3)).min(axis=1)
    table = equilibrium_quantiles(np.histogram(-np.log10(p), P_EDGES)[0], 3)
    near = table[table["expected"] < 2]
    assert np.abs(near["expected"] - near["observed"]).max() < 0.1


def test_equilibrium_quantiles__none_without_variants():
    assert equilibrium_quantiles(np.zeros(len(P_EDGES) - 1, dtype=int), 1).empty
