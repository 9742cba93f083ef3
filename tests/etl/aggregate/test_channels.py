from etl.aggregate.channels import mask_channels, why_empty
from etl.aggregate.config import MaskConfig, MasksConfig


def test_mask_channels__definition_tells_the_missing_rule():
    rare, common = mask_channels(MasksConfig(preset="any").resolved())
    assert (rare.name, rare.definition["max_frequency"], rare.definition["missing_call"]) == (
        "any_rare",
        0.01,
        "0",
    )
    assert common.definition["missing_call"] == "expected value at the allele frequency"


def test_mask_channels__definition_of_missing_calls():
    (channel,) = mask_channels([MaskConfig(name="m", classes=("plof",), coding="missing")])
    assert channel.counts_missing_calls
    assert channel.definition["missing_call"] == "1; a call that was made adds 0"
    assert channel.definition["combined"] == "sum over variants"


def test_mask_channels__definition_is_full():
    mask = MaskConfig(
        name="m",
        any_of=({"scores": {"revel": {"min": 0.7}}},),
        frequency="minor",
        weight="beta",
        coding="dominant",
    )
    (channel,) = mask_channels([mask])
    assert set(MaskConfig.model_fields) <= set(channel.definition)
    assert channel.definition["any_of"][0]["scores"]["revel"]["min"] == 0.7
    assert channel.definition["weight"] == "p^(a-1) (1-p)^(b-1) / B(a, b), a = 1, b = 25"
    assert channel.definition["frequency_of"] == "rarer allele, all other people outside the test fold"
    assert channel.definition["combined"] == "sum over variants"


def test_mask_channels__two_hits_say_that_phase_is_not_known():
    (channel,) = mask_channels([MaskConfig(name="m", classes=("plof",), combine="two_hits")])
    assert channel.definition["combined"].endswith("phase is not known")
    assert channel.definition["missing_call"] == "0"


def test_why_empty__no_variant_of_the_class():
    mask = MaskConfig(name="d", classes=("damaging_missense",))
    text = why_empty(mask, 0, {"plof": 3, "not annotated": 0})
    assert text == (
        "mask d: no variant counts in it, its channel is 0 for everybody: "
        "no variant that passed is annotated as damaging_missense"
    )


def test_why_empty__no_variant_meets_the_conditions():
    mask = MaskConfig(name="d", any_of=({"scores": {"mpc": {"above": 3}}},))
    assert why_empty(mask, 0, {"plof": 3, "synonymous": 4, "other": 0}).endswith(
        "no variant that passed meets its conditions (found 3 plof, 4 synonymous)"
    )


def test_why_empty__none_is_rare_enough():
    mask = MaskConfig(name="p", classes=("plof", "synonymous"), max_frequency=0.001)
    assert why_empty(mask, 3, {"plof": 3}).endswith(
        "none of the 3 that meet its conditions is as rare as it wants (allele frequency up to 0.001)"
    )
    limited = MaskConfig(
        name="p",
        classes=("plof",),
        frequency="minor",
        min_frequency=0.1,
        max_frequency=0.2,
        max_allele_count=5,
        max_external_frequency=0.01,
    )
    assert why_empty(limited, 1, {"plof": 1}).endswith(
        "(minor allele frequency above 0.1 and up to 0.2, allele count up to 5, external frequency up to "
        "0.01)"
    )
