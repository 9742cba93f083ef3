"""What can be wrong with masks before any variant is read. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

from contract.errors import InputError, fault
from etl.aggregate.config import ANY, EXTERNAL_FREQUENCY, Condition, MaskConfig


@dataclass(frozen=True)
class Offered:
    """What an annotation carries that masks may ask for."""

    classes: Collection[str] | None
    """Variant classes that it can tell apart; None: any may occur."""
    scores: Collection[str] = ()
    loftee: bool = False
    """LOFTEE ran."""
    terms: bool = True
    """It knows consequence terms."""


def check_masks(masks: Sequence[MaskConfig], offered: Offered, where: object) -> None:
    """Compare what masks ask for with what the annotation carries.

    Parameters
    ----------
    masks
        In the order of the channels.
    offered
        What there is.
    where
        The annotated file, named in the message.

    Raises
    ------
    InputError
        With one sentence for each mask that counts a class which no variant could have, or that asks for
        scores, terms or LOFTEE's verdict where the annotation has none.
    """
    faults = [
        fault(where, f"mask {mask.name}", found=found, wanted=wanted)
        for mask in masks
        for found, wanted in _absent(mask, offered)
    ]
    if faults:
        raise InputError(faults)


def _absent(mask: MaskConfig, offered: Offered) -> list[tuple[str, str]]:
    """What a mask asks for and the annotation lacks, and what it should be."""
    asked = [*mask.conditions, *mask.none_of]
    absent = []
    if offered.classes is not None:
        classes = sorted(
            {name for condition in asked for name in condition.classes} - {*offered.classes, ANY}
        )
        if classes:
            known = f"classes among {', '.join(sorted(offered.classes))}"
            absent.append((f"class {', '.join(classes)}", f"{known} (what the annotation can tell apart)"))
    if scores := sorted(_needed_scores(mask, asked) - set(offered.scores)):
        known = f"scores among {', '.join(sorted(offered.scores)) or 'none'}"
        absent.append((f"score {', '.join(scores)}", f"{known} (what the annotation carries)"))
    if any(condition.loftee for condition in asked) and not offered.loftee:
        absent.append(("verdicts of LOFTEE", "the sub-field LoF in VEP's annotation, or no loftee here"))
    if any(condition.terms for condition in asked) and not offered.terms:
        absent.append(("consequence terms", "an annotation with consequences, or class any"))
    return absent


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


def _without_limits(mask: MaskConfig) -> MaskConfig:
    limits = {"min_frequency": 0.0, "max_frequency": 1.0, "max_allele_count": None}
    return mask.model_copy(update={"name": "", "max_external_frequency": None, **limits})
