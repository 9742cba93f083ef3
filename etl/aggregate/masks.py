"""Burden masks applied to annotated variants: what each variant adds to which gene feature."""

from __future__ import annotations

from collections.abc import Sequence

import hail as hl
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql

from contract.manifest import Channel
from etl.aggregate.config import MaskConfig

RARE_MISSING = 0.01
"""Allele frequency up to which a missing call adds nothing: its expected dosage is at most 0.02."""

GRID = 2.0**14
"""Contributions are multiples of 1/GRID: sums of them are exact, so the order of summation cannot show."""

BETA_SHAPE = 25
"""Second shape of the Beta(1, 25) density that SKAT weighs alleles by."""


def mask_channels(masks: Sequence[MaskConfig]) -> list[Channel]:
    """The masks as channels of the manifest, with their full definition and missing-data rule."""
    return [
        Channel(
            name=mask.name,
            definition=mask.model_dump(mode="json")
            | {
                "frequency_of": "alternate allele, people outside the test fold",
                "missing_call": "0" if _missing_is_zero(mask) else "expected value at the allele frequency",
            },
        )
        for mask in masks
    ]


def mask_features(annotated: hl.Table, masks: Sequence[MaskConfig], n_genes: int) -> hl.Table:
    """What each variant adds to the gene features that it counts in.

    A missing call is not reference. Where a mask stops at an allele frequency of `RARE_MISSING`, it adds 0
    (expected dosage at most 0.02); elsewhere it adds what a person is expected to carry at the variant's
    allele frequency p: 2p alleles, 1 − (1 − p)² carriers, or p² homozygotes by the mask's coding.

    Parameters
    ----------
    annotated
        Keyed by locus and alleles; fields variant (its number in the cohort), consequences (see
        `annotate_variants`), allele_count and allele_number of people outside the test fold.
    masks
        In the order of the channels.
    n_genes
        Length of the gene axis.

    Returns
    -------
    Keyed likewise, with variant, and features: array<struct{index: int32, het: float64, hom: float64,
    missing: float64}>: flat index = channel × n_genes + gene, and the contribution of one, of two alternate
    alleles and of a missing call. Variants that count in no feature are left out.
    """
    frequency = annotated.allele_count / annotated.allele_number
    features = hl.flatten(
        [
            hl.if_else(
                _counts(annotated, mask, frequency),
                _features_expr(annotated, mask, channel * n_genes, frequency),
                hl.empty_array(_FEATURE),
            )
            for channel, mask in enumerate(masks)
        ]
    )
    table = annotated.select("variant", features=hl.or_else(features, hl.empty_array(_FEATURE)))
    return table.filter(hl.len(table.features) > 0).select_globals()


def features_frame(features: hl.Table) -> DataFrame:
    """Features of `mask_features` as a Spark frame: variant, and features as an array of structs.

    Write it: the tasks of a frame that Hail computes never end where they feed a Python kernel, because Hail
    closes a task in the thread that began it.
    """
    return features.key_by().select("variant", "features").to_spark(flatten=False)


def count_by_channel(features: DataFrame, n_genes: int) -> dict[int, int]:
    """Variants that count in any gene of each channel; channels without any are left out."""
    channels = sql.array_distinct(
        sql.transform("features", lambda feature: sql.floor(feature["index"] / n_genes))
    )
    counts = features.select(sql.explode(channels).alias("channel")).groupBy("channel").count()
    return {row["channel"]: row["count"] for row in counts.collect()}


_FEATURE = hl.tstruct(index=hl.tint32, het=hl.tfloat64, hom=hl.tfloat64, missing=hl.tfloat64)


def _counts(annotated: hl.Table, mask: MaskConfig, frequency: hl.Float64Expression) -> hl.BooleanExpression:
    counts = (annotated.allele_number > 0) & (frequency <= mask.max_frequency)
    if mask.min_frequency > 0:
        counts &= frequency > mask.min_frequency
    if mask.max_allele_count is not None:
        counts &= annotated.allele_count <= mask.max_allele_count
    return counts


def _features_expr(
    annotated: hl.Table, mask: MaskConfig, offset: int, frequency: hl.Float64Expression
) -> hl.ArrayExpression:
    consequences = annotated.consequences
    if "any" not in mask.classes:
        classes = hl.literal(set(mask.classes))
        consequences = consequences.filter(lambda entry: classes.contains(entry.variant_class))
    weight = _weight_expr(mask, frequency)
    het = 0.0 if mask.coding == "recessive" else 1.0
    hom = 2.0 if mask.coding == "additive" else 1.0
    missing = 0.0 if _missing_is_zero(mask) else _expected_expr(mask, frequency)
    return consequences.map(
        lambda entry: hl.struct(
            index=hl.int32(offset + entry.gene),
            het=_on_grid(het * weight),
            hom=_on_grid(hom * weight),
            missing=_on_grid(missing * weight),
        )
    )


def _weight_expr(mask: MaskConfig, frequency: hl.Float64Expression) -> hl.Float64Expression:
    if mask.weight == "none":
        return hl.float64(1.0)
    minor = hl.min(frequency, 1 - frequency)
    return BETA_SHAPE * (1 - minor) ** (BETA_SHAPE - 1)


def _missing_is_zero(mask: MaskConfig) -> bool:
    return mask.max_frequency <= RARE_MISSING


def _expected_expr(mask: MaskConfig, frequency: hl.Float64Expression) -> hl.Float64Expression:
    if mask.coding == "additive":
        return 2 * frequency
    if mask.coding == "dominant":
        return 1 - (1 - frequency) ** 2
    return frequency**2


def _on_grid(value: hl.Float64Expression) -> hl.Float64Expression:
    return hl.floor(value * GRID + 0.5) / GRID
