"""The masks as the manifest and the run's warnings tell them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contract.manifest import Channel
from etl.aggregate.config import ANY, MaskConfig
from etl.aggregate.masks import missing_is_zero
from etl.aggregate.weights import formula

_COMBINED = {
    "sum": "sum over variants",
    "max": "the largest over variants",
    "comphet": "sum over variants, up to 2",
    "two_hits": "1 where the sum over variants is at least 2, else 0; phase is not known",
}


def mask_channels(masks: Sequence[MaskConfig]) -> list[Channel]:
    """The masks as channels of the manifest, with their full definition and missing-data rule."""
    return [Channel(name=mask.name, definition=_definition(mask)) for mask in masks]


def _definition(mask: MaskConfig) -> dict[str, object]:
    settings = mask.model_dump(mode="json")
    counted = "alternate allele" if mask.frequency == "alternate" else "rarer allele"
    return settings | {
        "weight": formula(mask),
        "combined": _COMBINED[mask.combine],
        "frequency_of": f"{counted}, all other people outside the test fold",
        "missing_call": _missing_call(mask),
    }


def _missing_call(mask: MaskConfig) -> str:
    if mask.coding == "missing":
        return "1; a call that was made adds 0"
    return "0" if missing_is_zero(mask) else "expected value at the allele frequency"


def why_empty(mask: MaskConfig, n_meeting: int, classes: Mapping[str, int]) -> str:
    """A sentence on a mask that no variant counts in.

    Parameters
    ----------
    mask
        It.
    n_meeting
        Variants that meet its conditions, whatever their frequency.
    classes
        Variants that passed, by consequence class.
    """
    if n_meeting:
        why = f"none of the {n_meeting} that meet its conditions is as rare as it wants ({_limits(mask)})"
    elif mask.any_of:
        why = f"no variant that passed meets its conditions ({_classes_found(classes)})"
    else:
        why = f"no variant that passed is annotated as {' or '.join(mask.classes)}"
    return f"mask {mask.name}: no variant counts in it, its channel is 0 for everybody: {why}"


def _classes_found(classes: Mapping[str, int]) -> str:
    found = ", ".join(f"{count} {name}" for name, count in classes.items() if count and name != ANY)
    return f"found {found}" if found else "found none with a consequence"


def _limits(mask: MaskConfig) -> str:
    allele = "minor allele" if mask.frequency == "minor" else "allele"
    limits = [f"{allele} frequency up to {mask.max_frequency:g}"]
    if mask.min_frequency > 0:
        limits[0] = f"{allele} frequency above {mask.min_frequency:g} and up to {mask.max_frequency:g}"
    if mask.max_allele_count is not None:
        limits.append(f"allele count up to {mask.max_allele_count}")
    if mask.max_external_frequency is not None:
        limits.append(f"external frequency up to {mask.max_external_frequency:g}")
    return ", ".join(limits)
