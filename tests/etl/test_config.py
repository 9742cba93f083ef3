import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.config import EtlConfig, SparkConfig, StatusColumn
from etl.thresholds import MaxDeviations
from tests.etl.mini import MiniInputs


def test_resolved_profile__one_of_several_deviations_leaves_the_others(mini: MiniInputs):
    mini.settings["thresholds"] = {"sample": {"max_deviations": {"n_singleton": 6}}}
    sample = build_config(EtlConfig, mini.settings, "test").resolved_profile().sample
    assert sample.max_deviations == MaxDeviations(
        r_ti_tv=4, r_insertion_deletion=4, r_het_hom_var=4, n_singleton=6
    )
    assert sample.min_call_rate == 0.93


def test_status_column__whole_numbers_are_text():
    status = StatusColumn.model_validate({"column": "affected", "case": [2], "control": [1, "01"]})
    assert (status.case, status.control) == (["2"], ["1", "01"])


def test_status_column__a_number_and_its_text_are_the_same_value():
    with pytest.raises(InputError, match="wanted: no value for both case and control, such as 2"):
        build_config(StatusColumn, {"column": "affected", "case": [2], "control": ["2"]}, "test")


@pytest.mark.parametrize("memory", ["3g", "512m", "12G"])
def test_spark_config__memory_with_a_unit(memory: str):
    assert SparkConfig(driver_memory=memory).driver_memory == memory


@pytest.mark.parametrize("memory", ["3", "g", "0g", "3gb", "3 g", "3g\n"])
def test_spark_config__memory_that_java_does_not_take(memory: str):
    with pytest.raises(InputError, match=r"driver_memory: found .*, wanted: a number and a unit"):
        build_config(SparkConfig, {"driver_memory": memory}, "test")
