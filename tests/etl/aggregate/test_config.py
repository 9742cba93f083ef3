import pytest
import yaml

from contract.config import build_config
from contract.errors import InputError
from etl.aggregate.config import Condition, MaskConfig, MasksConfig
from etl.aggregate.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_resolved__every_preset_is_valid_and_its_names_differ(name):
    masks = MasksConfig(preset=name).resolved()
    assert len({mask.name for mask in masks}) == len(masks) > 1


def test_resolved__bipex_has_one_channel_per_class():
    masks = MasksConfig(preset="bipex").resolved()
    assert [mask.classes for mask in masks] == [
        ("plof",),
        ("damaging_missense",),
        ("other_missense",),
        ("synonymous",),
    ]
    assert {mask.max_frequency for mask in masks} == {0.01}


def test_resolved__list_as_given():
    mask = MaskConfig(name="mine", classes=("plof", "other_missense"))
    assert MasksConfig(masks=(mask,)).resolved() == (mask,)


def test_is_synonymous__by_classes_or_terms_of_every_condition():
    for preset in ("bipex", "brava", "schema", "genebass", "regenie"):
        found = [mask.name for mask in MasksConfig(preset=preset).resolved() if mask.is_synonymous]
        assert found in (["synonymous"], ["synonymous", "synonymous_singleton"])
    wider = Condition(terms=("synonymous_variant", "missense_variant"))
    assert not MaskConfig(name="m", any_of=(wider,)).is_synonymous


def test_mask_config__any_of_as_written_in_yaml():
    text = """
      name: damaging
      any_of:
        - {classes: [other_missense, damaging_missense], scores: {revel: {min: 0.773}}}
        - {loftee: [LC]}
        - {terms: [splice_region_variant], scores: {spliceai: {above: 0.2, max: 1}}}
      none_of: [{loftee: [HC]}]
      weight: {beta: [1, 10]}
    """
    mask = build_config(MaskConfig, yaml.safe_load(text), "run.yaml")
    assert [len(mask.conditions), len(mask.none_of)] == [3, 1]
    assert mask.weight.shape == (1, 10)
    # What is written down is read back as the same.
    assert build_config(MaskConfig, mask.model_dump(mode="json"), "run.yaml") == mask


def test_mask_config__missing_calls_of_synonymous_variants_are_no_synonymous_channel():
    assert MaskConfig(name="s", classes=("synonymous",)).is_synonymous
    assert not MaskConfig(name="s", classes=("synonymous",), coding="missing").is_synonymous


@pytest.mark.parametrize("weight", ["none", "madsen_browning", {"beta": [1.0, 25.0]}, {"score": "cadd"}])
def test_weight__its_short_form_comes_back(weight):
    mask = MaskConfig(name="m", classes=("any",), weight=weight)
    assert mask.model_dump(mode="json")["weight"] == weight


def test_weight__beta_alone_has_the_shape_of_skat():
    assert MaskConfig(name="m", classes=("any",), weight="beta").weight.shape == (1, 25)


MASK = {"name": "a", "classes": ["plof"]}


def mask_of(**settings):
    return {"masks": [MASK | settings]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either a preset or a list of masks"),
        ({"preset": "bipex", "masks": [MASK]}, "either a preset or a list of masks"),
        ({"preset": "nobody"}, "a preset among bipex"),
        ({"masks": [MASK, MASK]}, "masks with different names, not a twice"),
        (mask_of(min_frequency=0.5, max_frequency=0.1), r"min_frequency below max_frequency \(0.1\)"),
        (mask_of(min_frequency=0.5, frequency="minor"), "min_frequency below 0.5"),
        (mask_of(any_of=[{"loftee": ["HC"]}]), "either classes or any_of"),
        ({"masks": [{"name": "a"}]}, "either classes or any_of"),
        ({"masks": [{"name": "a", "any_of": [{}]}]}, "classes, terms, loftee or scores"),
        (mask_of(none_of=[{"loftee": ["high"]}]), "masks.0.none_of.0.loftee.0: found 'high'"),
        (mask_of(none_of=[{"scores": {"revel": {}}}]), "a limit: min, above, max or below"),
        (mask_of(none_of=[{"scores": {"revel": {"min": 1, "above": 1}}}]), "min or above, and max or below"),
        (mask_of(none_of=[{"scores": {"revel": {"min": 1, "max": 1}}}]), "a lower limit below the upper"),
        (mask_of(weight="heavy"), "masks.0.weight.kind: found 'heavy'"),
        (mask_of(weight={"beta": [0.5, 0.5]}), "shapes from 1"),
        (mask_of(weight={"kind": "score"}), "none, madsen_browning, beta"),
        (mask_of(weight="beta", combine="comphet"), "no weight with combine: comphet"),
        (mask_of(coding="recessive", combine="two_hits"), "coding additive .* with combine: two_hits"),
        *(
            (mask_of(coding="missing", **other), "combine: sum, no weight, .* with coding: missing, which")
            for other in (
                {"combine": "max"},
                {"weight": "beta"},
                {"collapse_allele_count": 10},
                {"max_allele_count": 0},
            )
        ),
        (mask_of(collapse_allele_count=10, combine="max"), "no collapse_allele_count with combine: max"),
    ],
)
def test_masks_config__faults(settings, message):
    with pytest.raises(InputError, match=message):
        build_config(MasksConfig, settings, "run.yaml")
