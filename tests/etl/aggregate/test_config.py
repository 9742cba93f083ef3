import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.aggregate.config import MaskConfig, MasksConfig, check_masks
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


MASK = {"name": "a", "classes": ["plof"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either a preset or a list of masks"),
        ({"preset": "bipex", "masks": [MASK]}, "either a preset or a list of masks"),
        ({"preset": "nobody"}, "a preset among bipex"),
        ({"masks": [MASK, MASK]}, "masks with different names"),
        (
            {"masks": [MASK | {"min_frequency": 0.5, "max_frequency": 0.1}]},
            "min_frequency below max_frequency",
        ),
        ({"masks": [MASK | {"classes": ["lof"]}]}, "masks.0.classes.0: found 'lof'"),
    ],
)
def test_masks_config__faults(settings, message):
    with pytest.raises(InputError, match=message):
        build_config(MasksConfig, settings, "run.yaml")


def test_check_masks__class_that_cannot_occur():
    masks = MasksConfig(preset="bipex").resolved()
    with pytest.raises(
        InputError, match=r"a.vcf: mask damaging_missense: found class damaging_missense"
    ) as error:
        check_masks(masks, {"plof", "other_missense", "synonymous"}, "a.vcf")
    assert len(error.value.faults) == 1
    check_masks(masks, {"plof", "other_missense", "damaging_missense", "synonymous"}, "a.vcf")
