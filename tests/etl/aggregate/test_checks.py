from dataclasses import replace

import pytest

from contract.errors import InputError
from etl.aggregate.checks import Offered, check_masks, overlaps
from etl.aggregate.config import MaskConfig, MasksConfig

CLASSES = {"plof", "plof_low_confidence", "damaging_missense", "other_missense", "synonymous", "other", "any"}
SCORES = ("cadd", "revel", "spliceai", "mpc", "external_frequency")


EVERYTHING = Offered(CLASSES, SCORES, loftee=True)


def faults(masks, **offered):
    with pytest.raises(InputError) as error:
        check_masks(masks, replace(EVERYTHING, **offered), "a.vcf")
    return error.value.faults


def test_check_masks__class_that_cannot_occur():
    masks = MasksConfig(preset="bipex").resolved()
    assert faults(masks, classes={"plof", "other_missense", "synonymous"}) == [
        "a.vcf: mask damaging_missense: found class damaging_missense, wanted classes among other_missense, "
        "plof, synonymous (what the annotation can tell apart)"
    ]
    check_masks(masks, Offered({"plof", "other_missense", "damaging_missense", "synonymous"}), "a.vcf")


def test_check_masks__misspelt_class():
    assert "found class lof, wanted classes among" in faults([MaskConfig(name="m", classes=("lof",))])[0]


@pytest.mark.parametrize("preset", ["brava", "schema"])
def test_check_masks__preset_passes_where_its_scores_are(preset):
    check_masks(MasksConfig(preset=preset).resolved(), EVERYTHING, "a.vcf")


def test_check_masks__any_class_may_occur_in_a_group_file():
    check_masks([MaskConfig(name="m", classes=("pLof", "missense"))], Offered(None), "a.vcf")


def test_check_masks__preset_without_its_scores_is_refused_with_their_names():
    found = faults(MasksConfig(preset="brava").resolved(), scores=("revel",))
    assert len(found) == 4
    assert found[1].startswith(
        "a.vcf: mask damaging_missense: found score cadd, external_frequency, spliceai, wanted scores among "
        "revel (what"
    )
    (above, between) = faults(MasksConfig(preset="schema").resolved(), scores=())
    assert above == (
        "a.vcf: mask missense_mpc_3: found score mpc, wanted scores among none (what the annotation carries)"
    )
    assert "missense_mpc_2" in between


def test_check_masks__loftee_that_did_not_run():
    found = faults([MaskConfig(name="m", any_of=({"loftee": ("HC",)},))], loftee=False)
    assert found == [
        "a.vcf: mask m: found verdicts of LOFTEE, wanted the sub-field LoF in VEP's annotation, or no loftee "
        "here"
    ]


def test_check_masks__terms_of_gene_intervals():
    found = faults([MaskConfig(name="m", any_of=({"terms": ("missense_variant",)},))], terms=False)
    assert found == [
        "a.vcf: mask m: found consequence terms, wanted an annotation with consequences, or class any"
    ]


def test_check_masks__weight_and_external_frequency_need_their_score():
    weighted = MaskConfig(name="w", classes=("any",), weight={"score": "phylop"})
    external = MaskConfig(name="e", classes=("any",), max_external_frequency=0.01)
    assert [text.split(", wanted")[0] for text in faults([weighted, external], scores=("cadd",))] == [
        "a.vcf: mask w: found score phylop",
        "a.vcf: mask e: found score external_frequency",
    ]


def test_overlaps__same_conditions_with_common_frequencies():
    rare, common, wide = (
        MaskConfig(name=name, classes=("plof",), min_frequency=low, max_frequency=high)
        for name, low, high in (("rare", 0, 0.01), ("common", 0.01, 1), ("wide", 0, 0.05))
    )
    assert overlaps([rare, common]) == []
    assert overlaps([rare, common, wide]) == [
        "masks rare and wide: their frequency ranges overlap and all else is equal, so that a variant may "
        "count in both channels",
        "masks common and wide: their frequency ranges overlap and all else is equal, so that a variant may "
        "count in both channels",
    ]


def test_overlaps__other_conditions_codings_or_weights_are_meant():
    mask = MaskConfig(name="a", classes=("plof",))
    others = [{"classes": ("synonymous",)}, {"coding": "dominant"}, {"weight": "beta"}, {"combine": "max"}]
    changed = [MaskConfig(**({"name": "b", "classes": ("plof",)} | other)) for other in others]
    assert [overlaps([mask, other]) for other in changed] == [[], [], [], []]
    assert len(overlaps([mask, MaskConfig(name="c", classes=("plof",), max_allele_count=5)])) == 1
