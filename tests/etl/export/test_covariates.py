from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.config import EtlConfig
from etl.export.covariates import check_columns, doubts, make_covariates
from tests.etl.mini import MiniInputs

TABLE = """\
sample_id\tstatus\tsex\tage\tsmoker\tprs\tsite
P1\tcase\tfemale\t40\tyes\t0.5\tA
P2\tcontrol\tmale\t50\tno\t-1.25\tB
P3\tcase\tmale\tNA\tno\t2e-1\tC
P4\tcontrol\tfemale\t90\tyes\t0\tA
"""


def config_of(mini: MiniInputs, *covariates: str, table: str = TABLE) -> EtlConfig:
    mini.samples.write_text(table)
    return build_config(EtlConfig, mini.settings | {"covariates": list(covariates)}, "test")


def people(**changes: object) -> pd.DataFrame:
    """P4 is sealed; the order is not that of the table."""
    columns = {
        "sample_id": ["P3", "P4", "P1", "P2"],
        "is_case": [1, 0, 1, 0],
        "sex": ["male", "unknown", "female", "male"],
        "batch": ["b", "a", "b", "a"],
        "fold": [1, 0, 2, 3],
        "pc1": [0.1, 0.2, 0.3, 0.4],
        **changes,
    }
    return pd.DataFrame(columns, index=[7, 5, 3, 1])


def test_make_covariates__columns_of_the_table_beside_the_etls_own(mini: MiniInputs):
    mini.settings["samples"]["batch"] = "site"
    config = config_of(mini, "prs", "is_female", "ancestry_pcs", "batch", "smoker")
    found = make_covariates(people(), config)
    assert found.values.index.tolist() == [7, 5, 3, 1]
    assert {name: found.values[name].tolist() for name in found.values} == {
        "prs": [0.2, 0.0, 0.5, -1.25],
        "is_female": [0, 0.5, 1, 0],
        "pc1": [0.1, 0.2, 0.3, 0.4],
        "batch_b": [1, 0, 1, 0],
        "smoker": [0, 1, 1, 0],
    }
    assert found.of_this_cohort == ["pc1", "batch_b"]
    assert found.columns["smoker"].words() == "yes is 1, no is 0"
    assert "smoker (yes is 1, no is 0)" in found.words()


def test_make_covariates__missing_values_get_the_mean_outside_the_test_fold(mini: MiniInputs):
    found = make_covariates(people(), config_of(mini, "age"))
    assert found.values.to_dict("list") == {"age": [45, 90, 40, 50], "age_missing": [1, 0, 0, 0]}
    rule = found.columns["age"]
    assert (rule.mean, rule.filled, rule.indicator) == (45, 1, True)
    assert rule.words() == "1 person has the mean, 45, for want of a value"
    assert found.of_this_cohort == []


def test_make_covariates__few_missing_values_have_no_column_of_their_own(mini: MiniInputs):
    ids = [f"P{place}" for place in range(200)]
    table = pd.DataFrame({"sample_id": ids, "age": np.arange(200.0)})
    table.loc[[0, 199], "age"] = np.nan
    config = config_of(mini, "age", table=table.to_csv(sep="\t", index=False))
    fold = np.where(np.arange(200) < 150, 1, 0)
    found = make_covariates(people_of(ids, fold), config)
    assert list(found.values) == ["age"], "1 of 150 outside the test fold is below 1 %"
    assert found.values["age"].tolist()[0] == found.values["age"].tolist()[199] == 75
    assert (found.columns["age"].filled, found.columns["age"].indicator) == (2, False)


def people_of(ids: list[str], fold: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": ids, "sex": "male", "batch": "all", "fold": fold})


def test_make_covariates__sealed_values_move_nobody_elses(mini: MiniInputs):
    before = make_covariates(people(), config_of(mini, "age", "prs", "smoker"))
    other = TABLE.replace("P4\tcontrol\tfemale\t90\tyes\t0", "P4\tcontrol\tfemale\tNA\tno\t1000")
    after = make_covariates(people(), config_of(mini, "age", "prs", "smoker", table=other))
    outside = [7, 3, 1]
    assert before.values.loc[outside].equals(after.values.loc[outside])
    assert {name: rule.mean for name, rule in before.columns.items()} == {
        name: rule.mean for name, rule in after.columns.items()
    }


def test_make_covariates__another_cohort_follows_the_first_ones_rules(mini: MiniInputs):
    first = make_covariates(people(), config_of(mini, "age", "smoker")).columns
    one = "sample_id\tage\tsmoker\nN1\t\tno\n"
    config = config_of(mini, "smoker", "age", table=one)
    new = people_of(["N1"], np.array([0]))
    found = make_covariates(new, config, fixed=first)
    assert found.values.to_dict("list") == {"smoker": [0], "age": [45], "age_missing": [1]}
    config = config_of(mini, "smoker", "age", table=one.replace("no", "sometimes"))
    with pytest.raises(InputError, match=r"column 'smoker': found 1 other values, wanted no or yes"):
        make_covariates(new, config, fixed=first)


def test_make_covariates__nobody_outside_the_test_fold_has_a_value(mini: MiniInputs):
    table = TABLE.replace("\t40\t", "\t\t").replace("\t50\t", "\t\t") + "P5\tcase\tmale\t31\tyes\t0\tA\n"
    found = pd.concat([people(), people(sample_id="P5", fold=0).iloc[:1]])
    with pytest.raises(
        InputError, match=r"'age': found no value of anybody outside the test fold, wanted some"
    ):
        make_covariates(found, config_of(mini, "age", table=table))


def test_make_covariates__a_polygenic_score_has_the_name_of_its_rival(mini: MiniInputs):
    pytest.importorskip("torch")  # newer locks hold one half of the project
    from train.rivals.simple import POLYGENIC_SCORE

    for name in POLYGENIC_SCORE:
        config = config_of(mini, name, table=TABLE.replace("prs", name))
        assert list(make_covariates(people(), config).values) == [name]


def test_doubts__many_without_a_value_and_the_status_by_another_name(mini: MiniInputs):
    table = TABLE.replace("P2\tcontrol\tmale\t50", "P2\tcontrol\tmale\t42")
    found = make_covariates(people(), config_of(mini, "age", "prs", table=table))
    outside = people()["fold"] != 0
    told = doubts(found, people(is_case=[0, 0, 1, 0]), outside)
    assert told == [
        "covariate age: 1 people have no value; they have the mean, and age_missing is 1",
        "covariate age alone tells every case from every control: is it the status?",
        "covariate prs alone tells every case from every control: is it the status?",
    ]
    assert doubts(found, people(is_case=[0, 1, 1, 0]), outside) == told, "P4 is sealed"
    assert doubts(found, people(is_case=[1, 0, 0, 0]), outside) == told[:1]


FAULTS = {
    "height": "column 'height': found columns sample_id, status, sex, age, smoker, prs, site, "
    "wanted 'height'",
    "site": "covariates: column 'site': found 3 values, of which 3 are no numbers (A, B, C), wanted numbers, "
    "or two values",
    "status": "covariates: column 'status': found the column of the status, wanted a column of no other use",
    "sex": "covariates: column 'sex': found the column of the sex (is_female stands for it), "
    "wanted a column of no other use",
    "sample_id": "covariates: column 'sample_id': found the column of the people's names, wanted a column of "
    "no other use",
    "pc2": "covariates: column 'pc2': found the name of a component, wanted another name: the ETL's own "
    "ancestry components have such names",
    "batch_b": "covariates: column 'batch_b': found the name of a batch, wanted another name: columns of "
    "batches begin like this",
}


@pytest.mark.parametrize("name", FAULTS)
def test_check_columns__tells_what_cannot_be_a_covariate(mini: MiniInputs, name: str):
    with pytest.raises(InputError) as error:
        check_columns(config_of(mini, "age", name))
    assert error.value.faults == [f"{mini.samples}: {FAULTS[name]}"]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("\t40\t|\t50\t|\t90\t", "\t7\t", "7 for everybody, wanted at least two values"),
        ("\t40\t|\t50\t|\t90\t", "\tNA\t", "no value for anybody, wanted at least two values"),
        ("\t40\t", "\tinf\t", r"3 values, of which 1 are no numbers \(inf\), wanted numbers, or two values"),
    ],
)
def test_check_columns__values(mini: MiniInputs, old: str, new: str, found: str):
    table = pd.Series([TABLE]).str.replace(old, new, regex=True)[0]
    with pytest.raises(InputError, match=f"column 'age': found {found}"):
        check_columns(config_of(mini, "age", table=table))


def test_check_columns__the_name_of_those_without_a_value_is_taken(mini: MiniInputs):
    table = TABLE.replace("prs", "age_missing")
    with pytest.raises(InputError, match=r"'age_missing': found a name that is in use, wanted another name"):
        check_columns(config_of(mini, "age", "age_missing", table=table))


def test_etl_config__a_covariate_stands_once(mini: MiniInputs):
    with pytest.raises(InputError, match=r"covariates: found .*, wanted: each name once"):
        config_of(mini, "age", "age")


def test_check_columns__none_reads_no_table(mini: MiniInputs, tmp_path: Path):
    config = config_of(mini, "is_female")
    mini.samples.unlink()
    check_columns(config)
