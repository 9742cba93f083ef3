"""Thresholds of a QC profile. The profiles in conf/profiles give every number with its unit and source."""

from __future__ import annotations

from pydantic import Field

from contract.config import ConfigModel


class GenotypeThresholds(ConfigModel):
    """A called genotype that fails, or lacks a value that its rule needs, becomes missing."""

    min_dp: int = Field(ge=0, description="reads at the site, diploid calls")
    min_dp_haploid: int = Field(ge=0, description="reads at the site, haploid calls: men on X and Y")
    min_gq_hom_ref: int = Field(ge=0, description="Phred, homozygous reference calls")
    min_pl_hom_ref: int = Field(ge=0, description="Phred likelihood of 0/0 in calls that are not 0/0")
    min_allele_balance_het: float = Field(ge=0, le=1, description="AD[1] / DP in heterozygous calls")
    min_allelic_reads_het: float = Field(ge=0, le=1, description="(AD[0] + AD[1]) / DP in heterozygous calls")
    min_allele_balance_hom_var: float = Field(ge=0, le=1, description="AD[1] / DP, homozygous alternate")


class MaxDeviations(ConfigModel):
    """Median absolute deviations, scaled to standard deviations, beyond which a person is an outlier."""

    r_ti_tv: float = Field(gt=0, description="transitions / transversions")
    r_insertion_deletion: float = Field(gt=0, description="insertions / deletions")
    r_het_hom_var: float = Field(gt=0, description="heterozygous / homozygous alternate calls")
    n_singleton: float = Field(gt=0, description="variants that nobody else carries; high values only")


class SampleThresholds(ConfigModel):
    """People outside these are dropped, each with every reason named."""

    min_call_rate: float = Field(ge=0, le=1, description="share of autosomal genotypes that are called")
    min_mean_dp: float = Field(ge=0, description="reads")
    min_mean_gq: float = Field(ge=0, description="Phred")
    max_charr: float = Field(ge=0, le=1, description="contamination by CHARR, share of reads")
    max_f_female: float = Field(description="inbreeding coefficient on X at or below which sex is female")
    min_f_male: float = Field(description="inbreeding coefficient on X at or above which sex is male")
    min_sites_on_x: int = Field(ge=1, description="fewer typed common sites on X leave sex unmeasured")
    max_deviations: MaxDeviations = Field(
        description="median absolute deviations within batch × ancestry, by metric"
    )
    min_stratum: int = Field(
        ge=2, description="people outside the test fold; smaller strata are compared within ancestry alone"
    )


class RelatednessThresholds(ConfigModel):
    """Markers, kinship, and who counts as family."""

    min_marker_maf: float = Field(gt=0, lt=0.5, description="minor allele frequency of markers")
    min_marker_call_rate: float = Field(ge=0, le=1)
    min_marker_hwe_p: float = Field(
        gt=0, lt=1, description="one-sided, for an excess of heterozygotes among all people"
    )
    max_r2: float = Field(gt=0, le=1, description="squared correlation left by LD pruning")
    window_bp: int = Field(gt=0, description="base pairs, LD pruning")
    max_markers: int = Field(ge=10, description="a seeded draw of markers where there are more")
    min_markers: int = Field(ge=1, description="fewer markers can't tell relatives from others: refused")
    few_markers: int = Field(ge=1, description="fewer markers tell close relatives only: a warning")
    n_components: int = Field(ge=2, description="principal components that PC-Relate corrects for")
    min_individual_maf: float = Field(gt=0, lt=0.5, description="PC-Relate's minimum individual-specific MAF")
    min_kinship_family: float = Field(gt=0, lt=0.5, description="second degree: shares a fold")
    min_kinship_duplicate: float = Field(gt=0, le=0.5, description="same person or identical twin")


class AncestryThresholds(ConfigModel):
    """Principal components and ancestry groups."""

    n_components: int = Field(ge=2, description="principal components kept as covariates")
    max_groups: int = Field(ge=1, description="ancestry groups looked for")
    min_silhouette: float = Field(ge=0, le=1, description="below it the cohort is taken as one group")
    max_distance: float = Field(
        gt=0, description="standard deviations from every group, beyond which a person is an outlier"
    )
    min_share: float = Field(ge=0, le=1, description="share of people; an ancestry that more share stays")


class VariantThresholds(ConfigModel):
    """Variants outside these are dropped with every reason named; test people's labels are not seen."""

    max_alleles: int = Field(ge=2, description="alleles of a record, the reference counted")
    require_pass: bool = Field(description="FILTER must be PASS or absent")
    min_call_rate: float = Field(ge=0, le=1, description="overall, in cases, and in controls")
    max_call_rate_difference: float = Field(ge=0, le=1, description="cases against controls, absolute")
    min_hwe_p: float = Field(ge=0, le=1, description="exact test in controls within each ancestry group")
    min_inbreeding: float = Field(
        ge=-1, le=1, description="inbreeding coefficient; below it too many people are heterozygous"
    )
    min_batch_p: float = Field(
        ge=0, le=1, description="one batch of controls against the others, alleles, stratified by ancestry"
    )


class GateThresholds(ConfigModel):
    """Limits of the verdicts on the report's first page: they remove nothing."""

    min_people_kept: float = Field(ge=0, le=1, description="share of people in the dataset")
    min_variants_kept: float = Field(ge=0, le=1, description="share of variants that pass")
    max_sex_mismatches: float = Field(ge=0, le=1, description="share of people whose reported sex is wrong")
    max_call_rate_difference: float = Field(
        ge=0, le=1, description="mean call rate of people, cases against controls, absolute"
    )
    min_batch_people: int = Field(ge=1, description="batches of as many must hold cases and controls")
    max_hwe_inflation: float = Field(gt=0, description="chi-square of the median p over its expectation")
    max_burden_inflation: float = Field(
        gt=0, description="genomic control lambda of the burden tests of synonymous variants"
    )
    warn_p: float = Field(ge=0, le=1, description="a p-value below it warns; of many tests after Bonferroni")
    fail_p: float = Field(ge=0, le=1, description="a p-value of synonymous burden below it fails")


class Profile(ConfigModel):
    """All thresholds of one quality-control profile."""

    name: str
    genotype: GenotypeThresholds
    sample: SampleThresholds
    relatedness: RelatednessThresholds
    ancestry: AncestryThresholds
    variant: VariantThresholds
    gates: GateThresholds
