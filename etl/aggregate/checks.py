"""What can be wrong with masks before any variant is read. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

from contract.errors import InputError, fault
from etl.aggregate.config import ANY, EXTERNAL_FREQUENCY, Condition, MaskConfig

LOFTEE_CLASS = "plof_low_confidence"
"""Class that the annotation can tell apart where LOFTEE ran, and nowhere else."""


def check_masks(
    masks: Sequence[MaskConfig], classes: Collection[str], where: object, scores: Collection[str] = ()
) -> None:
    """Compare what masks ask for with what the annotation carries.

    Parameters
    ----------
    masks
        In the order of the channels.
    classes
        Variant classes that the annotation can tell apart; `any` alone: it knows genes and no consequences.
    where
        The annotated file, named in the message.
    scores
        Names of the annotation's scores.

    Raises
    ------
    InputError
        With one sentence for each mask that counts a class which no variant could have, or that asks for
        scores, terms or LOFTEE's verdict where the annotation has none.
    """
    faults = []
    for mask in masks:
        asked = [*mask.conditions, *mask.none_of]
        absent = sorted({name for condition in asked for name in condition.classes} - {*classes, ANY})
        if absent:
            wanted = f"classes among {', '.join(sorted(classes))} (what the annotation can tell apart)"
            faults.append(_fault(where, mask, f"class {', '.join(absent)}", wanted))
        missing = sorted(_needed_scores(mask, asked) - set(scores))
        if missing:
            wanted = f"scores among {', '.join(sorted(scores)) or 'none'} (what the annotation carries)"
            faults.append(_fault(where, mask, f"score {', '.join(missing)}", wanted))
        if any(condition.loftee for condition in asked) and LOFTEE_CLASS not in classes:
            wanted = "the sub-field LoF in the annotation, or no loftee in the mask"
            faults.append(_fault(where, mask, "verdicts of LOFTEE", wanted))
        if any(condition.terms for condition in asked) and set(classes) == {ANY}:
            wanted = "an annotation with consequences, or class any"
            faults.append(_fault(where, mask, "consequence terms", wanted))
    if faults:
        raise InputError(faults)


def overlaps(masks: Sequence[MaskConfig]) -> list[str]:
    """One sentence for each pair of masks that differ in nothing but their limits and share some of them.

    A variant of such a pair counts in both channels, which a model then sees twice.
    """
    return [
        f"masks {one.name} and {other.name}: their frequency ranges overlap and all else is equal, so that a "
        "variant may count in both channels"
        for one, other in combinations(masks, 2)
        if _without_limits(one) == _without_limits(other)
        and max(one.min_frequency, other.min_frequency) < min(one.max_frequency, other.max_frequency)
    ]


def _needed_scores(mask: MaskConfig, asked: Sequence[Condition]) -> set[str]:
    needed = {name for condition in asked for name in condition.scores}
    if mask.weight.score is not None:
        needed.add(mask.weight.score)
    if mask.max_external_frequency is not None:
        needed.add(EXTERNAL_FREQUENCY)
    return needed


def _fault(where: object, mask: MaskConfig, found: str, wanted: str) -> str:
    return fault(where, f"mask {mask.name}", found=found, wanted=wanted)


def _without_limits(mask: MaskConfig) -> MaskConfig:
    limits = {"min_frequency": 0.0, "max_frequency": 1.0, "max_allele_count": None}
    return mask.model_copy(update={"name": "", "max_external_frequency": None, **limits})
