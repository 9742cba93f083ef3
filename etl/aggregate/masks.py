"""Burden masks applied to annotated variants: what each variant adds to which gene feature.

Axes: V variants of a batch, C consequences of all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.manifest import Channel
from etl.aggregate.config import MaskConfig
from etl.cohort.calls import column, nested

READ_COLUMNS = ("variant", "consequences", "allele_count", "allele_number")
"""Columns of annotated variants that are read."""

FEATURE = pa.struct(
    [
        pa.field("index", pa.int32()),  # channel × n_genes + gene
        pa.field("het", pa.float64()),  # what one alternate allele, two of them, and a missing call add
        pa.field("hom", pa.float64()),
        pa.field("missing", pa.float64()),
    ]
)
FEATURES_SCHEMA = pa.schema([pa.field("variant", pa.int64()), pa.field("features", pa.list_(FEATURE))])
"""Variants that count in any gene feature; `variant` is their number in the cohort."""

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

RARE_MISSING = 0.01
"""Allele frequency up to which a missing call adds nothing: its expected dosage is at most 0.02."""

GRID = 2.0**14
"""Contributions are multiples of 1/GRID: sums of them are exact, so the order of summation cannot show."""

BETA_SHAPE = 25.0
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


def mask_variants(
    batches: Iterator[pa.RecordBatch], masks: Sequence[MaskConfig], n_genes: int
) -> Generator[pa.RecordBatch, None, Counter[int]]:
    """What a task does: batches of READ_COLUMNS in, FEATURES_SCHEMA out; in the end variants by channel."""
    counts: Counter[int] = Counter()
    for batch in batches:
        features = mask_features(batch, masks, n_genes)
        counts += count_by_channel(features, n_genes)
        yield features
    return counts


def mask_features(batch: pa.RecordBatch, masks: Sequence[MaskConfig], n_genes: int) -> pa.RecordBatch:
    """What each variant adds to the gene features that it counts in.

    A missing call is not reference. Where a mask stops at an allele frequency of `RARE_MISSING`, it adds 0
    (expected dosage at most 0.02); elsewhere it adds what a person is expected to carry at the variant's
    allele frequency p: 2p alleles, 1 − (1 − p)² carriers, or p² homozygotes by the mask's coding.

    Parameters
    ----------
    batch
        READ_COLUMNS; allele_count and allele_number are of people outside the test fold.
    masks
        In the order of the channels.
    n_genes
        Length of the gene axis.

    Returns
    -------
    pyarrow.RecordBatch
        FEATURES_SCHEMA, features of a variant by channel and gene. Variants that count in none are left out.
    """
    consequences = batch.column("consequences")
    variant_C = np.repeat(np.arange(batch.num_rows), np.diff(consequences.offsets.to_numpy()))
    gene, _, _, class_names = consequences.flatten().flatten()
    gene_C, class_C = gene.to_numpy(), class_names.to_numpy(zero_copy_only=False)
    count_V, number_V = (column(batch, name).astype(np.float64) for name in ("allele_count", "allele_number"))
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency_V = count_V / number_V
    owners, parts = [], []
    for channel, mask in enumerate(masks):
        counts_C = _counts(mask, frequency_V, count_V)[variant_C]
        if "any" not in mask.classes:
            counts_C &= np.isin(class_C, mask.classes)
        owners.append(variant_C[counts_C])
        added = [values_V[owners[-1]] for values_V in _contributions(mask, frequency_V)]
        parts.append([gene_C[counts_C] + channel * n_genes, *added])
    owner_F = np.concatenate(owners)
    # Stable: a variant's features stay in the order of channels and genes.
    order_F = np.argsort(owner_F, kind="stable")
    values = [np.concatenate(pieces)[order_F] for pieces in zip(*parts, strict=True)]
    features = pa.StructArray.from_arrays(
        [pa.array(array, part.type) for array, part in zip(values, FEATURE, strict=True)],
        fields=list(FEATURE),
    )
    places_V, n_features_V = np.unique(owner_F, return_counts=True)
    return pa.RecordBatch.from_arrays(
        [batch.column("variant").take(pa.array(places_V)), nested(features, n_features_V)],
        schema=FEATURES_SCHEMA,
    )


def count_by_channel(features: pa.RecordBatch, n_genes: int) -> Counter[int]:
    """Variants that count in any gene of each channel; channels without any are left out."""
    lists = features.column("features")
    variant_F = np.repeat(np.arange(len(lists)), np.diff(lists.offsets.to_numpy()))
    channel_F = lists.flatten().field("index").to_numpy() // n_genes
    pairs = np.unique(np.stack([channel_F, variant_F]), axis=1)
    return Counter(pairs[0].tolist())


def _counts(mask: MaskConfig, frequency_V: Values, count_V: Values) -> Flags:
    """Whether variants are as rare as the mask wants; without any call there is no frequency (NaN)."""
    counts_V: Flags = frequency_V <= mask.max_frequency
    if mask.min_frequency > 0:
        counts_V &= frequency_V > mask.min_frequency
    if mask.max_allele_count is not None:
        counts_V &= count_V <= mask.max_allele_count
    return counts_V


def _contributions(mask: MaskConfig, frequency_V: Values) -> tuple[Values, Values, Values]:
    """What one alternate allele, two of them, and a missing call add."""
    weight_V = _weights(mask, frequency_V)
    het = 0.0 if mask.coding == "recessive" else 1.0
    hom = 2.0 if mask.coding == "additive" else 1.0
    missing_V: Values = np.zeros_like(weight_V) if _missing_is_zero(mask) else _expected(mask, frequency_V)
    return _on_grid(het * weight_V), _on_grid(hom * weight_V), _on_grid(missing_V * weight_V)


def _weights(mask: MaskConfig, frequency_V: Values) -> Values:
    if mask.weight == "none":
        return np.ones(len(frequency_V))
    minor_V = np.minimum(frequency_V, 1 - frequency_V)
    density_V: Values = BETA_SHAPE * (1 - minor_V) ** (BETA_SHAPE - 1)
    return density_V


def _missing_is_zero(mask: MaskConfig) -> bool:
    return mask.max_frequency <= RARE_MISSING


def _expected(mask: MaskConfig, frequency_V: Values) -> Values:
    if mask.coding == "additive":
        return 2 * frequency_V
    if mask.coding == "dominant":
        return 1 - (1 - frequency_V) ** 2
    return np.square(frequency_V)


def _on_grid(value_V: Values) -> Values:
    return np.floor(value_V * GRID + 0.5) / GRID
