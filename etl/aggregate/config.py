"""Burden masks: what each channel counts. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from contract.config import ConfigModel
from etl.aggregate.presets import PRESETS, SYNONYMOUS_TERMS

ANY = "any"
"""Class of every variant: a mask of it asks for nothing."""

EXTERNAL_FREQUENCY = "external_frequency"
"""What the annotation calls the frequency in a catalogue such as gnomAD: a column of variants, or a score."""


class ScoreRange(ConfigModel):
    """Values of a score that meet a condition; a missing value meets none."""

    min: float | None = Field(None, description="at least this")
    above: float | None = Field(None, description="more than this")
    max: float | None = Field(None, description="at most this")
    below: float | None = Field(None, description="less than this")

    @model_validator(mode="after")
    def _a_range(self) -> ScoreRange:
        lower, upper = ([limit for limit in pair if limit is not None] for pair in self._limits())
        if not lower and not upper:
            raise ValueError("a limit: min, above, max or below")
        if len(lower) == 2 or len(upper) == 2:
            raise ValueError("min or above, and max or below, not both of either")
        if lower and upper and lower[0] >= upper[0]:
            raise ValueError("a lower limit below the upper one")
        return self

    def _limits(self) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
        return (self.min, self.above), (self.max, self.below)


class Condition(ConfigModel):
    """What a consequence must have, all of it: of each list one entry, and every score in its range."""

    classes: tuple[str, ...] = Field((), description="variant classes")
    terms: tuple[str, ...] = Field((), description="consequence terms of Ensembl, of the chosen transcript")
    loftee: tuple[Literal["HC", "LC", "OS"], ...] = Field((), description="verdicts of LOFTEE")
    scores: dict[str, ScoreRange] = Field(default_factory=dict, description="ranges by score name")

    @model_validator(mode="after")
    def _asks_something(self) -> Condition:
        if not (self.classes or self.terms or self.loftee or self.scores):
            raise ValueError("classes, terms, loftee or scores")
        return self

    @property
    def is_synonymous(self) -> bool:
        """Whether only synonymous variants can meet it."""
        asked = (set(self.classes), {"synonymous"}), (set(self.terms), set(SYNONYMOUS_TERMS))
        return any(named and named <= synonymous for named, synonymous in asked)


class Weight(ConfigModel):
    """What an allele is multiplied by.

    Written `none`, `madsen_browning`, `beta`, `{beta: [a, b]}` or `{score: name}`.
    """

    kind: Literal["none", "madsen_browning", "beta", "score"] = "none"
    shape: tuple[float, float] = Field((1.0, 25.0), description="of the density; SKAT's are 1 and 25")
    score: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"kind": value}
        if isinstance(value, dict) and len(value) == 1 and set(value) <= {"beta", "score"}:
            ((kind, content),) = value.items()
            return {"kind": kind, ("shape" if kind == "beta" else "score"): content}
        return value

    @model_validator(mode="after")
    def _fits(self) -> Weight:
        if (self.kind == "score") != bool(self.score):
            raise ValueError("none, madsen_browning, beta, {beta: [a, b]} or {score: name}")
        # Below 1 the density of an allele that nobody else carries would be infinite.
        if min(self.shape) < 1:
            raise ValueError("shapes from 1 (for a steeper weight take madsen_browning)")
        return self

    @model_serializer(mode="wrap")
    def _shortly(self, serialize: SerializerFunctionWrapHandler) -> Any:
        if self.kind == "score":
            return {"score": self.score}
        return {"beta": list(self.shape)} if self.kind == "beta" else self.kind


class MaskConfig(ConfigModel):
    """One burden mask, which is one channel of the dataset.

    Frequencies and counts are those among all other people outside the test fold who passed sample quality
    control: of the alternate allele (regenie's AAF), where the reference allele is the rare one it is common;
    or of the rarer allele, which is then the one that is counted.
    """

    name: str = Field(min_length=1)
    classes: tuple[str, ...] = Field((), description="variant classes that it counts; short for any_of")
    any_of: tuple[Condition, ...] = Field((), description="conditions; a variant meets at least one")
    none_of: tuple[Condition, ...] = Field((), description="conditions that a variant must not meet")
    frequency: Literal["alternate", "minor"] = Field(
        "alternate",
        description="the allele that is counted; minor: the reference allele where it is the rarer one",
    )
    min_frequency: float = Field(0.0, ge=0, lt=1, description="its frequency above this (exclusive)")
    max_frequency: float = Field(1.0, gt=0, le=1, description="its frequency up to this (inclusive)")
    max_allele_count: int | None = Field(
        None, ge=0, description="its count in other people, up to this; 0: what nobody else carries"
    )
    max_external_frequency: float | None = Field(
        None, ge=0, le=1, description="its frequency in a catalogue, up to this; what is not in it has none"
    )
    weight: Weight = Weight()
    coding: Literal["additive", "dominant", "recessive", "missing"] = Field(
        "additive",
        description="what a variant adds: alleles carried; 1 for carriers; 1 for homozygotes; 1 for people "
        "whose call is missing",
    )
    combine: Literal["sum", "max", "comphet", "two_hits"] = Field(
        "sum",
        description="over variants of a gene: their sum; the largest; the sum up to 2; 1 where it is >= 2",
    )
    collapse_allele_count: int | None = Field(
        None, ge=0, description="variants up to this count are one: the largest of them (SAIGE-GENE+: 10)"
    )
    x_coding: Literal["diploid", "haploid"] = Field(
        "diploid", description="a man's one allele on X counts as two (diploid) or as one (haploid)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> MaskConfig:
        if bool(self.classes) == bool(self.any_of):
            raise ValueError("either classes or any_of, the conditions of the mask")
        if self.min_frequency >= self.max_frequency:
            raise ValueError(f"min_frequency below max_frequency ({self.max_frequency})")
        if self.frequency == "minor" and self.min_frequency >= 0.5:
            raise ValueError("min_frequency below 0.5, the most that the rarer allele reaches")
        if self.combine in ("comphet", "two_hits") and self.weight.kind != "none":
            raise ValueError(f"no weight with combine: {self.combine}, which counts alleles")
        if self.combine == "two_hits" and self.coding == "recessive":
            raise ValueError(
                "coding additive (two alleles) or dominant (two variants) with combine: two_hits"
            )
        if self.coding == "missing" and not self._counts_calls():
            raise ValueError(
                "combine: sum, no weight, no collapse_allele_count and no max_allele_count of 0 with coding: "
                "missing, which counts calls"
            )
        if self.combine == "max" and self.collapse_allele_count is not None:
            raise ValueError("no collapse_allele_count with combine: max, which collapses all variants")
        return self

    def _counts_calls(self) -> bool:
        """Whether nothing else is asked for that only alleles have a meaning for."""
        counts = self.collapse_allele_count is None and self.max_allele_count != 0
        return counts and self.combine == "sum" and self.weight.kind == "none"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions of which a variant meets at least one."""
        return self.any_of or (Condition(classes=self.classes),)

    @property
    def is_synonymous(self) -> bool:
        """Whether it counts nothing but alleles of synonymous variants."""
        return self.coding != "missing" and all(condition.is_synonymous for condition in self.conditions)


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
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"masks with different names, not {', '.join(twice)} twice")
        return self

    def resolved(self) -> tuple[MaskConfig, ...]:
        """The masks that the preset stands for, or the list as given."""
        if self.preset is None:
            return self.masks
        return tuple(MaskConfig.model_validate(settings) for settings in PRESETS[self.preset])
