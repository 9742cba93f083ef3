"""Burden masks applied to annotated variants: what each variant adds to which gene feature.

Axes: V variants of a batch, C consequences of all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.manifest import Channel
from etl.aggregate.config import MaskConfig
from etl.cohort.calls import column, nested

READ_COLUMNS = ("variant", "consequences", "allele_count", "allele_number")
"""Columns of annotated variants that are read."""

STATES = ("missing", "het", "hom", "others_het", "others_hom", "others_haploid")
"""What a call adds to a feature: a missing one, one with one alternate allele and one with two (or a haploid
one); then the last ones for people whose alleles are among those counted, by the frequency in all others."""

FEATURE = pa.struct(
    [
        pa.field("index", pa.int32()),  # channel × n_genes + gene
        *(pa.field(name, pa.float64()) for name in STATES),
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
                "frequency_of": "alternate allele, all other people outside the test fold",
                "missing_call": "0" if _missing_is_zero(mask) else "expected value at the allele frequency",
            },
        )
        for mask in masks
    ]


def why_empty(mask: MaskConfig, classes: Mapping[str, int]) -> str:
    """A sentence on a mask that no variant counts in.

    Parameters
    ----------
    mask
        It.
    classes
        Variants that passed, by consequence class.
    """
    found = {name: classes.get(name, 0) for name in mask.classes if name != "any"}
    if "any" in mask.classes or any(found.values()):
        why = f"none is as rare as it wants (allele frequency up to {mask.max_frequency:g})"
        if mask.min_frequency > 0 or mask.max_allele_count is not None:
            why = "none has the allele frequency or count that it wants"
    else:
        why = f"no variant that passed is annotated as {' or '.join(found)}"
    return f"mask {mask.name}: no variant counts in it, its channel is 0 for everybody: {why}"


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

    A variant is as rare for a person as it is in all *other* people outside the test fold. Were a carrier's
    own alleles counted, those of the test fold, who are not, would carry more: variants seen once are rare
    for one carrier outside and for any number inside.

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
    told = consequences.flatten()
    gene, class_names = told.field("gene"), told.field("variant_class")
    gene_C, class_C = gene.to_numpy(), class_names.to_numpy(zero_copy_only=False)
    count_V, number_V = (column(batch, name).astype(np.float64) for name in ("allele_count", "allele_number"))
    owners, parts = [], []
    for channel, mask in enumerate(masks):
        added_SV = _contributions(mask, count_V, number_V)
        counts_C = added_SV.any(axis=0)[variant_C]
        if "any" not in mask.classes:
            counts_C &= np.isin(class_C, mask.classes)
        owners.append(variant_C[counts_C])
        parts.append([gene_C[counts_C] + channel * n_genes, *added_SV[:, owners[-1]]])
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


def _contributions(mask: MaskConfig, count_V: Values, number_V: Values) -> Values:
    """What each of STATES adds, states × V; 0 where the variant is not as rare as the mask wants."""
    het = 0.0 if mask.coding == "recessive" else 1.0
    hom = 2.0 if mask.coding == "additive" else 1.0
    # Own alternate alleles, own alleles, and what the call adds by itself (None: what is expected).
    states: tuple[tuple[int, int, float | None], ...] = (
        (0, 0, None),
        (0, 0, het),
        (0, 0, hom),
        (1, 2, het),
        (2, 2, hom),
        (1, 1, hom),
    )
    return np.stack(
        [
            _contribution(mask, count_V - own_alternate, number_V - own_alleles, added)
            for own_alternate, own_alleles, added in states
        ]
    )


def _contribution(mask: MaskConfig, count_V: Values, number_V: Values, added: float | None) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        # Without any call there is no frequency.
        frequency_V = np.where((number_V > 0) & (count_V >= 0), count_V / number_V, np.nan)
    counts_V: Flags = frequency_V <= mask.max_frequency
    if mask.min_frequency > 0:
        counts_V &= frequency_V > mask.min_frequency
    if mask.max_allele_count is not None:
        counts_V &= count_V <= mask.max_allele_count
    if added is not None:
        values_V = np.full(len(count_V), added)
    elif _missing_is_zero(mask):
        values_V = np.zeros(len(count_V))
    else:
        values_V = _expected(mask, frequency_V)
    return np.where(counts_V, _on_grid(values_V * _weights(mask, frequency_V)), 0.0)


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
