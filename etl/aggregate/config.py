"""Burden masks: what each channel counts. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import Field, model_validator

from contract.config import ConfigModel
from contract.errors import InputError, fault
from etl.aggregate.presets import PRESETS

VariantClass = Literal[
    "plof", "plof_low_confidence", "damaging_missense", "other_missense", "synonymous", "other", "any"
]


class MaskConfig(ConfigModel):
    """One burden mask, which is one channel of the dataset.

    Frequencies and counts are those of the alternate allele (regenie's AAF) among people outside the test
    fold who passed sample quality control: a variant whose reference allele is the rare one is common.
    """

    name: str = Field(min_length=1)
    classes: tuple[VariantClass, ...] = Field(min_length=1, description="variant classes that it counts")
    min_frequency: float = Field(0.0, ge=0, lt=1, description="allele frequency above this (exclusive)")
    max_frequency: float = Field(1.0, gt=0, le=1, description="allele frequency up to this (inclusive)")
    max_allele_count: int | None = Field(None, ge=1, description="alleles in the cohort, up to this")
    weight: Literal["none", "beta"] = Field(
        "none",
        description="beta: density of Beta(1, 25) at the minor allele frequency (Wu et al. 2011, SKAT)",
    )
    coding: Literal["additive", "dominant", "recessive"] = Field(
        "additive", description="what a variant adds: alleles carried; 1 for carriers; 1 for homozygotes"
    )

    @model_validator(mode="after")
    def _frequencies_ascend(self) -> MaskConfig:
        if self.min_frequency >= self.max_frequency:
            raise ValueError(f"min_frequency below max_frequency ({self.max_frequency})")
        return self


class MasksConfig(ConfigModel):
    """The channels in their order: a preset by name, or a list of masks."""

    preset: str | None = Field(None, description=f"one of {', '.join(PRESETS)}")
    masks: tuple[MaskConfig, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> MasksConfig:
        if (self.preset is None) == (not self.masks):
            raise ValueError("either a preset or a list of masks")
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"a preset among {', '.join(PRESETS)}")
        names = [mask.name for mask in self.masks]
        if len(set(names)) < len(names):
            raise ValueError("masks with different names")
        return self

    def resolved(self) -> tuple[MaskConfig, ...]:
        """The masks that the preset stands for, or the list as given."""
        if self.preset is None:
            return self.masks
        return tuple(MaskConfig.model_validate(settings) for settings in PRESETS[self.preset])


def check_masks(masks: Sequence[MaskConfig], available: Collection[str], where: object) -> None:
    """Compare the classes that masks count with those that the annotation can tell apart.

    Raises
    ------
    InputError
        With one sentence for each mask that counts a class which no variant could have.
    """
    faults = []
    for mask in masks:
        absent = sorted(set(mask.classes) - set(available))
        if absent:
            wanted = f"classes among {', '.join(sorted(available))} (what the annotation can tell apart)"
            faults.append(
                fault(where, f"mask {mask.name}", found=f"class {', '.join(absent)}", wanted=wanted)
            )
    if faults:
        raise InputError(faults)
