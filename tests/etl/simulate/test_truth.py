import pytest

from contract.errors import InputError
from etl.simulate import load_truth, oracle_auroc


def test_load_truth__reads_back(study):
    assert load_truth(study.out / "truth.json") == study.truth


def test_load_truth__absent(tmp_path):
    with pytest.raises(InputError, match=r"truth\.json: truth: found no readable file"):
        load_truth(tmp_path / "truth.json")


def test_load_truth__not_a_truth_file(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text('{"format_version": 1}')
    with pytest.raises(InputError, match=r"seed: found Field required, wanted a simulator's truth\.json"):
        load_truth(path)


def test_load_truth__other_version(study, tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(study.truth.model_copy(update={"format_version": 99}).model_dump_json())
    with pytest.raises(InputError, match="format_version: found 99, wanted 2"):
        load_truth(path)


def test_oracle_auroc__by_hand(study):
    values = {"case": (0.2, 3.0), "control": (-1.0, 1.0)}
    people = [
        study.truth.people[0].model_copy(
            update={"sample_id": f"{status}{i}", "status": status, "predictable_liability": value}
        )
        for status, pair in values.items()
        for i, value in enumerate(pair)
    ]
    truth = study.truth.model_copy(update={"people": tuple(people)})
    assert oracle_auroc(truth) == 0.75
    assert oracle_auroc(truth, ["case1", "control0"]) == 1.0


def test_oracle_auroc__well_above_chance(study):
    assert 0.7 < study.truth.oracle_auroc < 1
    assert study.truth.oracle_auroc == oracle_auroc(study.truth)


def test_oracle_auroc__unknown_people_or_one_status(study):
    with pytest.raises(InputError, match="found 1 unknown ids, wanted simulated people"):
        oracle_auroc(study.truth, ["nobody"])
    cases = [person.sample_id for person in study.truth.people if person.status == "case"]
    with pytest.raises(InputError, match="people of one status only"):
        oracle_auroc(study.truth, cases)
