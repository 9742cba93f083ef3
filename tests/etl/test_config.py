import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.config import EtlConfig, InputConfig, SparkConfig, StatusColumn
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


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, "exactly one of vcf, plink, pgen, bgen, matrix_table, vds, not none"),
        ({"vcf": "a", "plink": "b"}, "exactly one of .*, not vcf and plink"),
        ({"vcf": "a", "sample": "b"}, "sample with bgen only, not with vcf"),
        ({"plink": "a", "half_calls": "haploid"}, "half_calls with vcf only, not with plink"),
        ({"plink": "a", "min_probability": 0.8}, "min_probability with bgen only, not with plink"),
        ({"pgen": "a", "reference_allele": "a1"}, "reference_allele with plink or bgen only, not with pgen"),
        ({"bgen": "a", "reference_allele": "a1"}, "reference_allele to be first or last with bgen"),
        ({"plink": "a", "reference_allele": "last"}, "reference_allele to be a1 or a2 with plink"),
        (
            {"bgen": "a", "min_probability": 0.5},
            "min_probability: found 0.5, wanted: Input should be greater",
        ),
    ],
)
def test_input_config__one_format_and_its_own_keys(settings: dict[str, object], found: str):
    with pytest.raises(InputError, match=found):
        build_config(InputConfig, settings, "test")


def test_input_config__one_path_or_several():
    assert InputConfig.model_validate({"plink": "a"}).paths == ["a"]
    assert InputConfig.model_validate({"bgen": ["a", "b"]}).paths == ["a", "b"]
    assert InputConfig.model_validate({"vds": "a.vds"}).paths == ["a.vds"]
    assert InputConfig.model_validate({"vds": "a.vds"}).format == "vds"
