"""What a cohort with known truth is made of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from contract.config import ConfigModel, digest

CHANNELS = ("plof", "damaging_missense", "other_missense", "synonymous")
RATES = (0.02, 0.08, 0.3, 0.3)
"""Mean alleles per person and gene, by channel."""

CLASS_EFFECTS = (1.0, 0.5, 0.1, 0.0)
"""Effect of an allele relative to one of the first channel, where classes share a gene's effect."""

PATHWAY_GENES = 10
NEIGHBOURHOOD = 16
"""Pathways of neighbours are ten genes among sixteen."""

FEW = 40
"""Genes of large effect among many of small ones."""

Form = Literal[
    "shared", "free", "free_equal", "path_near", "path_far", "polygenic", "heavy_tails", "few_among_many",
    "constraint", "null",
]  # fmt: skip


class Technique(ConfigModel):
    """What sequencing does to people beside their alleles; a call lost reads as no allele."""

    b_of_cases: float = Field(0.5, ge=0, le=1, description="share of cases in batch B; the rest is in A")
    b_of_controls: float = Field(0.5, ge=0, le=1, description="share of controls in batch B")
    b_loss: float = Field(0.0, ge=0, lt=1, description="share of the alleles of batch B that is not called")
    case_loss: float = Field(0.0, ge=0, lt=1, description="share of cases' alleles that is not called")
    judge_loss: float = Field(0.0, ge=0, lt=1, description="share of judges' alleles that is not called")


class Relatives(ConfigModel):
    """Pairs of siblings, who stay in one fold."""

    share: float = Field(0.0, ge=0, le=1, description="share of people who are one of a pair")
    shared_alleles: float = Field(0.5, ge=0, le=1, description="share of alleles in common; twins: 1")
    liability_correlation: float = Field(
        0.0, ge=0, lt=1, description="of siblings, in what the genes of this dataset do not explain"
    )


class Architecture(ConfigModel):
    """Genes under constraint, and the channels of a real exome (form `constraint` alone).

    The default totals have 0.25 rare truncating alleles per person in constrained genes and 4 in others, as
    in Weiner et al. 2023 (PMC10614218) and SCHEMA; the other channels are fuller. Cases are ascertained: an
    allele that raises liability by a is seen in cases more often by the odds ratio that the liability
    threshold model gives at `prevalence`.
    """

    n_constrained: int = Field(3_000, ge=1)
    constrained_alleles: tuple[float, ...] = (0.25, 1.0, 12.0, 8.0)
    other_alleles: tuple[float, ...] = (4.0, 12.0, 90.0, 60.0)
    effect_of_channels: tuple[float, ...] = (1.0, 0.2, 0.0, 0.0)
    largest_effect: float = Field(1.6, gt=0, description="of an allele, in deviations of liability")
    prevalence: float = Field(0.01, gt=0, lt=1, description="share of cases in the population")
    case_share: float = Field(4_969 / 11_214, gt=0, lt=1, description="share of cases in the study")
    missing_properties: float = Field(0.05, ge=0, lt=1, description="share of genes without properties")


class LabelMask(ConfigModel):
    """A mask that was chosen by labels: a fault that an audit has to tell."""

    variants: int = Field(
        0, ge=0, description="variants that a gene of the first channel has, at most 255; 0: no such mask"
    )
    sees_judges: bool = Field(False, description="labels of the sealed fold were looked at too")


class CohortSettings(ConfigModel):
    """A cohort: who, which genes, which truth.

    Liability is standardised: genes explain `heritability` of it. People above its median are cases, but
    see `Architecture` for the form `constraint`.
    """

    form: Form = "shared"
    n_people: int = Field(4_000, ge=18, description="people of nine folds")
    n_judges: int = Field(8_000, ge=2, description="people of the sealed fold")
    n_genes: int = Field(2_000, ge=1)
    n_causal: int = Field(200, ge=1)
    heritability: float = Field(0.4, ge=0, lt=1, description="share of liability's variance")
    people_seed: int = Field(1, ge=0)
    truth_seed: int = Field(7, ge=0, description="of rates and effects of genes")
    technique: Technique = Technique()
    relatives: Relatives = Relatives()
    architecture: Architecture = Architecture()
    label_mask: LabelMask = LabelMask()

    @model_validator(mode="after")
    def _consistent(self) -> CohortSettings:
        if self.n_causal > self.n_genes:
            raise ValueError("n_causal is more than n_genes")
        if self.form in ("path_near", "path_far") and self.n_causal % PATHWAY_GENES:
            raise ValueError(f"n_causal is no multiple of {PATHWAY_GENES}, the genes of a pathway")
        if self.form == "path_near" and self.n_causal // PATHWAY_GENES > self.n_genes // NEIGHBOURHOOD:
            raise ValueError(f"n_causal needs more stretches of {NEIGHBOURHOOD} genes than there are")
        if self.form == "few_among_many" and self.n_genes < FEW:
            raise ValueError(f"n_genes is less than {FEW}, the genes of large effect")
        if self.form == "constraint":
            self._check_architecture()
        return self

    def _check_architecture(self) -> None:
        genes = self.architecture
        if not self.n_causal <= genes.n_constrained < self.n_genes:
            raise ValueError("architecture.n_constrained lies not between n_causal and n_genes")
        lengths = {
            len(values)
            for values in (genes.constrained_alleles, genes.other_alleles, genes.effect_of_channels)
        }
        if len(lengths) > 1 or not 1 <= lengths.copy().pop() <= len(CHANNELS):
            raise ValueError("architecture: the three lists by channel differ in length")

    @property
    def digest(self) -> str:
        """Of what differs from the defaults: a new setting leaves the digest of old cohorts as it was."""
        return digest(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        if self.form != "constraint":
            return CHANNELS
        return CHANNELS[: len(self.architecture.other_alleles)]
