"""Burden masks applied to annotated variants: what each variant adds to which gene feature.

Axes: V variants of a batch, C consequences that a mask counts, S states of `etl.aggregate.states`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.aggregate.conditions import Consequences, counted, read_consequences
from etl.aggregate.config import EXTERNAL_FREQUENCY, MaskConfig
from etl.aggregate.states import ALL, STATES, Alleles, State, alleles_of_others
from etl.aggregate.weights import weights
from etl.cohort.calls import column, nested

READ_COLUMNS = ("variant", "consequences", "allele_count", "allele_number")
"""Columns of annotated variants that are read, and EXTERNAL_FREQUENCY where there is one."""

FEATURE = pa.struct(
    [
        pa.field("index", pa.int32()),  # channel × n_genes + gene
        # Bits by the number of a state: of these contributions the largest counts, of the others the sum.
        pa.field("collapsed", pa.int32()),
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


@dataclass
class MaskCounts:
    """Variants by channel; channels without any are left out."""

    counting: Counter[int] = field(default_factory=Counter)
    """That add something for anybody."""
    meeting: Counter[int] = field(default_factory=Counter)
    """That meet the mask's conditions, whatever their frequency."""

    def __add__(self, other: MaskCounts) -> MaskCounts:
        return MaskCounts(self.counting + other.counting, self.meeting + other.meeting)


def mask_variants(
    batches: Iterator[pa.RecordBatch],
    masks: Sequence[MaskConfig],
    n_genes: int,
    score_names: Sequence[str] = (),
) -> Generator[pa.RecordBatch, None, MaskCounts]:
    """What a task does: batches of READ_COLUMNS in, FEATURES_SCHEMA out; in the end variants by channel."""
    counts = MaskCounts()
    for batch in batches:
        found = read_consequences(batch, score_names)
        features = mask_features(batch, masks, n_genes, score_names)
        meeting = {
            channel: len(np.unique(found.variant_C[counted(mask, found)]))
            for channel, mask in enumerate(masks)
        }
        counts += MaskCounts(count_by_channel(features, n_genes), Counter(meeting))
        yield features
    return counts


def mask_features(
    batch: pa.RecordBatch, masks: Sequence[MaskConfig], n_genes: int, score_names: Sequence[str] = ()
) -> pa.RecordBatch:
    """What each variant adds to the gene features that it counts in.

    A missing call is not reference. Where a mask stops at an allele frequency of `RARE_MISSING`, it adds 0
    (expected dosage at most 0.02); elsewhere it adds what a person is expected to carry at the allele's
    frequency p: 2p alleles, 1 − (1 − p)² carriers, or p² homozygotes by the mask's coding, p each for a man's
    one allele on X (2p where it counts as two). Where variants are not summed it adds 0, as in regenie: an
    expected count is no hit. With coding `missing` it adds 1, and calls that were made add 0, at variants
    that somebody outside the test fold carries: those of sealed or of new people alone are not the cohort's.

    A variant is as rare for a person as it is in all *other* people outside the test fold. Were a carrier's
    own alleles counted, those of the test fold, who are not, would carry more: variants seen once are rare
    for one carrier outside and for any number inside. So is decided which allele is the rarer one, what it
    weighs and whether it is collapsed.

    Parameters
    ----------
    batch
        READ_COLUMNS; allele_count and allele_number are of people outside the test fold.
    masks
        In the order of the channels.
    n_genes
        Length of the gene axis.
    score_names
        Names of the consequences' scores, in their order.

    Returns
    -------
    pyarrow.RecordBatch
        FEATURES_SCHEMA, features of a variant by channel and gene. Variants that count in none are left out.
    """
    found = read_consequences(batch, score_names)
    owners, parts = [], []
    for channel, mask in enumerate(masks):
        rows_C = np.flatnonzero(counted(mask, found))
        added_SC, collapsed_SC = _contributions(mask, _facts(batch, mask, found, rows_C))
        adds_C = added_SC.any(axis=0)
        bits_C = np.left_shift(1, np.arange(len(STATES))) @ collapsed_SC
        rows_C = rows_C[adds_C]
        owners.append(found.variant_C[rows_C])
        index_C = found.gene_C[rows_C] + channel * n_genes
        parts.append([index_C, bits_C[adds_C], *added_SC[:, adds_C]])
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


@dataclass(frozen=True)
class _Facts:
    """What is known of the consequences that a mask counts."""

    count_C: Values
    number_C: Values
    external_C: Values | None
    score_C: Values | None
    """The score that alleles are weighted by."""


def _facts(batch: pa.RecordBatch, mask: MaskConfig, found: Consequences, rows_C: NDArray[np.int64]) -> _Facts:
    def of_variants(name: str) -> Values:
        return column(batch, name).astype(np.float64)[found.variant_C[rows_C]]

    external_C = None
    if mask.max_external_frequency is not None:
        in_columns = EXTERNAL_FREQUENCY in batch.schema.names
        external_C = (
            of_variants(EXTERNAL_FREQUENCY) if in_columns else found.score_C(EXTERNAL_FREQUENCY)[rows_C]
        )
    score = mask.weight.score
    return _Facts(
        of_variants("allele_count"),
        of_variants("allele_number"),
        external_C,
        None if score is None else found.score_C(score)[rows_C],
    )


def _contributions(mask: MaskConfig, facts: _Facts) -> tuple[Values, Flags]:
    """What each state adds, states × consequences, and which of it is collapsed; 0 where not rare enough."""
    each = [_contribution(mask, facts, state) for state in ALL]
    added, collapsed = zip(*each, strict=True)
    return np.stack(added), np.stack(collapsed)


def _contribution(mask: MaskConfig, facts: _Facts, state: State) -> tuple[Values, Flags]:
    alleles = alleles_of_others(state, facts.count_C, facts.number_C, minor=mask.frequency == "minor")
    collapsed_C = np.full(len(facts.count_C), mask.combine == "max")
    if mask.collapse_allele_count is not None:
        collapsed_C = alleles.count_C <= mask.collapse_allele_count
    if mask.coding == "missing":
        value_C = ((facts.count_C > 0) & (state.alternate is None)).astype(np.float64)
    elif state.alternate is None:
        zero = missing_is_zero(mask)
        value_C = np.where(zero | collapsed_C, 0.0, _expected(mask, state, alleles.frequency_C))
    else:
        value_C = _coded(mask, state, alleles.carried(state))
    value_C = _on_grid(value_C * weights(mask.weight, alleles, facts.score_C))
    return np.where(_is_rare(mask, alleles, facts.external_C), value_C, 0.0), collapsed_C


def _is_rare(mask: MaskConfig, alleles: Alleles, external_C: Values | None) -> Flags:
    frequency_C = alleles.frequency_C
    rare_C: Flags = frequency_C <= mask.max_frequency
    if mask.min_frequency > 0:
        rare_C &= frequency_C > mask.min_frequency
    if mask.max_allele_count is not None:
        rare_C &= alleles.count_C <= mask.max_allele_count
    if mask.max_external_frequency is not None and external_C is not None:
        rare_C &= alleles.external_C(external_C) <= mask.max_external_frequency
    return rare_C


def missing_is_zero(mask: MaskConfig) -> bool:
    """Whether a missing call adds nothing to a mask."""
    return mask.max_frequency <= RARE_MISSING or mask.combine != "sum"


def _coded(mask: MaskConfig, state: State, carried_C: NDArray[np.int64]) -> Values:
    if mask.coding == "dominant":
        return (carried_C > 0).astype(np.float64)
    if mask.coding == "recessive":
        # A man's one allele on X is all that he has.
        return (carried_C == state.ploidy).astype(np.float64)
    return carried_C * _scale(mask, state)


def _expected(mask: MaskConfig, state: State, frequency_C: Values) -> Values:
    if mask.coding == "additive":
        return state.ploidy * _scale(mask, state) * frequency_C
    if mask.coding == "dominant":
        return 1 - (1 - frequency_C) ** state.ploidy
    return frequency_C**state.ploidy


def _scale(mask: MaskConfig, state: State) -> float:
    return 2.0 if state.ploidy == 1 and mask.x_coding == "diploid" else 1.0


def _on_grid(value_C: Values) -> Values:
    return np.floor(value_C * GRID + 0.5) / GRID
