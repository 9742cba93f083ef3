"""Configuration of the simulator: every planted thing has its key here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from contract.config import ConfigModel

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]

BASE_POPULATIONS = ("european", "african")
"""Populations of the demography; branches split from them."""


class GenesConfig(ConfigModel):
    """Where the variants are: genes of a few exons, and single markers between them."""

    count: Annotated[int, Field(ge=1, le=20_000)] = 400
    coding_length_median: Positive = 1_500  # base pairs, log-normal between genes
    coding_length_sigma: Positive = 0.45  # of its natural logarithm
    intron_length_median: Positive = 1_200  # base pairs, log-normal between introns
    overlap_share: Share = 0.03  # genes whose last exon reaches into the next gene's first one
    backbone_markers: Count = 1_000  # common SNVs between genes, as kits with a genome-wide backbone carry
    off_target_markers: Count = 0  # common SNVs outside the capture intervals, with few reads
    y_markers: Count = 0  # common SNVs of chromosome Y, called in men alone
    constraint_sigma: Annotated[float, Field(ge=0)] = 0.0  # between genes, of the natural logarithm of s_het
    mutation_rate: Positive = 2.36e-8  # per base pair and generation; the demography was fitted with it
    recombination_rate: Positive = 1e-8  # per base pair and generation, inside genes and between them


class BranchConfig(ConfigModel):
    """A population that split from another one: what is younger than the two of the demography."""

    name: str
    split_from: str  # european, african, or a branch listed before
    generations: Annotated[float, Field(gt=0, lt=2_000)]  # since the split
    size: Positive  # people today
    growth_rate: Annotated[float, Field(ge=0)] = 0.0  # per generation since the split


class AncestryConfig(ConfigModel):
    """People of one ancestry: of a population, or mixed recently from several."""

    name: str
    share: Share  # of the founders
    admixture: dict[str, Positive]  # population -> mean share of a founder's genome; they sum to 1
    concentration: Positive = 12.0  # of the Dirichlet distribution of these shares between founders
    generations: Positive = 8.0  # since the admixture
    outlier: bool = False  # a planted defect: people between the ancestries, whom quality control should find


def _default_branches() -> tuple[BranchConfig, ...]:
    # Gutenkunst et al. 2009, PLoS Genet. 5:e1000695: 21,200 years, 0.48 % a generation to 54,090 people.
    return (
        BranchConfig(
            name="east_asian", split_from="european", generations=848, size=54_090, growth_rate=0.0048
        ),
    )


def _default_ancestries() -> tuple[AncestryConfig, ...]:
    return (
        AncestryConfig(name="european", share=0.90, admixture={"european": 1}),
        AncestryConfig(name="admixed", share=0.10, admixture={"european": 0.3, "african": 0.7}),
    )


class PopulationConfig(ConfigModel):
    """Populations of the demography, and the ancestries of the people: a majority and a recent mixture."""

    branches: tuple[BranchConfig, ...] = Field(default_factory=_default_branches)
    ancestries: tuple[AncestryConfig, ...] = Field(default_factory=_default_ancestries, min_length=1)

    @model_validator(mode="after")
    def _populations_exist(self) -> PopulationConfig:
        known = list(BASE_POPULATIONS)
        for branch in self.branches:
            if branch.split_from not in known:
                raise ValueError(f"branch {branch.name} split from one of {', '.join(known)}")
            known.append(branch.name)
        for ancestry in self.ancestries:
            unknown = sorted(set(ancestry.admixture) - set(known))
            if unknown or abs(sum(ancestry.admixture.values()) - 1) > 1e-6:
                raise ValueError(f"ancestry {ancestry.name} of shares of {', '.join(known)} that sum to 1")
        if abs(sum(ancestry.share for ancestry in self.ancestries) - 1) > 1e-6:
            raise ValueError("ancestries whose shares sum to 1")
        return self

    def populations(self) -> tuple[str, ...]:
        """Populations that anybody descends from, in the order of the demography."""
        used = {name for ancestry in self.ancestries for name in ancestry.admixture}
        return tuple(
            name for name in (*BASE_POPULATIONS, *(branch.name for branch in self.branches)) if name in used
        )


class ConsequencesConfig(ConfigModel):
    """What new coding mutations are, and how selection thins each class by frequency."""

    stop_gained: Share = 0.03
    frameshift: Share = 0.03
    inframe_indel: Share = 0.01
    damaging_missense: Share = 0.22
    other_missense: Share = 0.42  # the rest is synonymous
    low_confidence_share: Share = 0.08  # of loss-of-function variants: LOFTEE LC instead of HC
    plof_half_frequency: Positive = 0.002  # allele frequency at which half of the pLoF variants survive
    damaging_half_frequency: Positive = 0.005
    other_missense_half_frequency: Positive = 0.10
    multiallelic_share: Share = 0.03  # SNVs whose right neighbour becomes another allele of the same site
    transition_share_coding: Share = 0.75  # gives a transition/transversion ratio of 3
    transition_share_noncoding: Share = 0.68

    @model_validator(mode="after")
    def _shares_fit(self) -> ConsequencesConfig:
        if sum(self.coding_shares().values()) > 1:
            raise ValueError("coding consequence shares with a sum of at most 1")
        return self

    def coding_shares(self) -> dict[str, float]:
        """Shares of the classes that are named; what is left is synonymous."""
        return {
            "stop_gained": self.stop_gained,
            "frameshift": self.frameshift,
            "inframe_indel": self.inframe_indel,
            "damaging_missense": self.damaging_missense,
            "other_missense": self.other_missense,
        }


class RelativesConfig(ConfigModel):
    """Pairs of relatives among the people; everybody else is unrelated."""

    duplicates: Count = 3  # one person sequenced twice
    parent_child: Count = 6
    siblings: Count = 6
    half_siblings: Count = 4
    avuncular: Count = 4
    declared_share: Share = 0.5  # pairs (other than duplicates) that share a family id in the samples table

    def pairs(self) -> dict[str, int]:
        """Number of pairs by kind of family unit."""
        return {
            "duplicate": self.duplicates,
            "parent_child": self.parent_child,
            "siblings": self.siblings,
            "half_siblings": self.half_siblings,
            "avuncular": self.avuncular,
        }


class KitConfig(ConfigModel):
    """One capture kit, used in one wave (batch)."""

    name: str
    batch: str
    mean_depth: Positive  # reads
    missing_rate: Share = 0.002  # entries without any read, beyond those that depth explains
    poor_gene_share: Share = 0.04  # genes that the kit covers badly
    case_share: Share  # of the cases who were sequenced with it
    control_share: Share
    ancestry_weights: dict[str, Positive] = Field(
        default_factory=dict
    )  # its people come here so much likelier


def _default_kits() -> tuple[KitConfig, ...]:
    first = KitConfig(name="agilent", batch="wave1", mean_depth=58, case_share=0.6, control_share=0.4)
    second = KitConfig(
        name="nimblegen", batch="wave2", mean_depth=46, missing_rate=0.006, case_share=0.4, control_share=0.6
    )
    return first, second


class SequencingConfig(ConfigModel):
    """The read model shared by all kits."""

    dispersion: Positive = 12.0  # shape of the negative binomial of depth; larger is closer to Poisson
    person_depth_sigma: Positive = 0.15  # of the natural logarithm of a person's mean depth
    error_rate: Share = 0.001  # reads that show the other allele; also what the caller assumes
    reference_bias: Share = 0.49  # expected allele balance of a heterozygote
    poor_gene_depth: Share = 0.20  # depth in a badly covered gene, as a share of the kit's mean
    off_target_depth: Share = 0.15  # depth outside the capture intervals, likewise
    men_on_x: Literal["diploid", "haploid", "half_call"] = (
        "diploid"  # how their calls are written: 1/1, 1 or 1/.
    )
    partial_pl_share: Share = 0.0  # multi-allelic records that have PL for the first two alleles alone


class SampleDefectsConfig(ConfigModel):
    """Shares of the people who carry a planted defect; nobody carries two.

    A kind that is `switched_off` is drawn and has no effect: the same cohort without it.
    """

    sex_error_share: Share = 0.005
    contaminated_share: Share = 0.01
    contamination_low: Share = 0.06  # share of reads that come from the donor
    contamination_high: Share = 0.15
    low_quality_share: Share = 0.01
    low_quality_depth: Positive = 11.0  # mean reads
    low_quality_missing_rate: Share = 0.12
    switched_off: tuple[Literal["sex_error", "contaminated", "low_quality"], ...] = ()


class VariantDefectsConfig(ConfigModel):
    """Shares of the biallelic autosomal SNVs that become bad variants, by kind."""

    excess_heterozygotes: Share = 0.004  # mapping artefact: most people look heterozygous
    differential_missingness: Share = 0.004  # missing in cases or in controls only
    low_call_rate: Share = 0.006  # missing in everybody alike
    batch_artefact: Share = 0.004  # false heterozygotes in one kit
    failed_filter: Share = 0.02  # the caller's own FILTER is not PASS
    in_causal_genes: bool = False  # else causal genes have none
    switched_off: tuple[
        str, ...
    ] = ()  # kinds that are drawn and have no effect: the same cohort without them

    @model_validator(mode="after")
    def _kinds_exist(self) -> VariantDefectsConfig:
        if unknown := sorted(set(self.switched_off) - set(self.shares())):
            raise ValueError(f"switched_off of kinds among {', '.join(self.shares())}, not {unknown[0]}")
        return self

    def shares(self) -> dict[str, float]:
        """Share of the candidate variants by kind."""
        return {
            "excess_heterozygotes": self.excess_heterozygotes,
            "differential_missingness": self.differential_missingness,
            "low_call_rate": self.low_call_rate,
            "batch_artefact": self.batch_artefact,
            "failed_filter": self.failed_filter,
        }


class PhenotypeConfig(ConfigModel):
    """Liability-threshold model: liability = genetic + ancestry shift + environment."""

    prevalence: Annotated[float, Field(ge=0.005, lt=1)] = 0.05
    heritability: Share = 0.5  # genetic variance / (genetic + environmental variance)
    causal_genes: Annotated[int, Field(ge=1)] = 30
    plof_effect: Positive = 1.0  # relative size of one allele; all effects are scaled to the heritability
    damaging_missense_effect: Positive = 0.6
    other_missense_effect: Annotated[float, Field(ge=0)] = 0.0
    causal_share_plof: Share = 1.0  # of the class's alleles in causal genes that have their effect
    causal_share_damaging_missense: Share = 1.0
    causal_share_other_missense: Share = 1.0
    effect_sigma: Annotated[float, Field(ge=0)] = 0.3  # between genes, of the natural logarithm
    constraint_exponent: float = 0.0  # a gene's effects follow its s_het to this power
    frequency_exponent: float = (
        0.0  # an allele's effect follows (f (1 - f)) to this power; below 0: rarer is larger
    )
    effect_max_frequency: Share = 0.01  # more frequent in any population: no effect
    interaction_groups: Count = 0  # groups of causal genes; 0 switches the interaction off
    interaction_genes: Annotated[int, Field(ge=2)] = 2  # of a group; two of them hit make the effect
    interaction_share: Share = 0.3  # of the genetic variance, where there are groups
    ancestry_shift: dict[str, float] = Field(default_factory=dict)  # liability of a genome wholly of it
    pool_margin: Annotated[float, Field(ge=1.1)] = 1.4  # people drawn / fewest that could hold the sample


class SimulateConfig(ConfigModel):
    """The whole simulated study."""

    out: Path
    seed: Count = 1
    reference_genome: Literal["GRCh37", "GRCh38"] = "GRCh38"
    people: Annotated[int, Field(ge=20)] = 1_000
    new_people: Count = 0  # of them, whose calls are files of their own, without status: another cohort
    case_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    workers: Count = 0  # processes; 0 takes all cores; the bytes do not depend on it
    vcf_per_contig: bool = False
    genes: GenesConfig = GenesConfig()
    population: PopulationConfig = PopulationConfig()
    consequences: ConsequencesConfig = ConsequencesConfig()
    relatives: RelativesConfig = RelativesConfig()
    kits: tuple[KitConfig, ...] = Field(default_factory=_default_kits, min_length=1)
    sequencing: SequencingConfig = SequencingConfig()
    sample_defects: SampleDefectsConfig = SampleDefectsConfig()
    variant_defects: VariantDefectsConfig = VariantDefectsConfig()
    phenotype: PhenotypeConfig = PhenotypeConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> SimulateConfig:
        if 2 * self.new_people > self.people:
            raise ValueError(f"new_people of at most half of the {self.people} people")
        if self.phenotype.causal_genes > self.genes.count:
            raise ValueError(f"phenotype.causal_genes of at most genes.count, {self.genes.count}")
        if 4 * sum(self.relatives.pairs().values()) > self.people:
            raise ValueError(f"at most half of the {self.people} people in relatives' pairs")
        in_groups = self.phenotype.interaction_genes * self.phenotype.interaction_groups
        if in_groups > self.phenotype.causal_genes:
            raise ValueError(f"phenotype.causal_genes of at least the {in_groups} in interactions")
        if unknown := sorted(set(self.phenotype.ancestry_shift) - set(self.population.populations())):
            raise ValueError(f"phenotype.ancestry_shift of populations that somebody has, not {unknown[0]}")
        names = {ancestry.name for ancestry in self.population.ancestries}
        for kit in self.kits:
            if unknown := sorted(set(kit.ancestry_weights) - names):
                raise ValueError(f"kits with weights of the ancestries, not {unknown[0]}")
        for side in ("case_share", "control_share"):
            total = sum(getattr(kit, side) for kit in self.kits)
            if abs(total - 1) > 1e-6:
                raise ValueError(f"kits whose {side} sum to 1, not {total:g}")
        return self

    def result_settings(self) -> dict[str, object]:
        """The settings that decide the result: all but the folder and the number of workers."""
        return self.model_dump(mode="json", exclude={"out", "workers"})
