"""What is known of a variant before and after annotation, whatever the source."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa


class Site(NamedTuple):
    """A split allele, as annotators see it."""

    contig: str
    position: int
    """1-based, of the minimal representation."""
    ref: str
    alt: str
    old_alleles: list[str]
    """Alleles of the record that it was split from."""
    a_index: int
    """Its place in them."""
    annotation: list[str] | None
    """Entries of the record's INFO field; None where it has none."""
    variant: int = -1
    """Its number in the cohort."""


class Consequence(NamedTuple):
    """The worst that a variant does to one gene."""

    gene: int
    """Place on the gene axis."""
    symbol: str | None
    consequence: str | None
    """Term of Ensembl, the most severe of `terms`; None where genes are intervals alone."""
    variant_class: str
    loftee: str | None = None
    """LOFTEE's call: HC, LC or OS; None where it made none."""
    scores: Sequence[float] = ()
    """In the order of `etl.annotate.scores.score_names`; NaN where one is missing."""
    terms: Sequence[str] = ()
    """All terms of the transcript that `consequence` was taken from."""
    weight: float = math.nan
    """Of a group file; NaN where there is none."""


class Annotator:
    """Finds the consequences of variants."""

    def __init__(self) -> None:
        self.unknown: Counter[str] = Counter()
        """Terms that have no place in `etl.annotate.severity`, and variants that have them."""
        self.counts: Counter[str] = Counter()
        """What else a reader must know, in words, and how often it was met."""

    def __call__(self, site: Site) -> list[Consequence] | None:
        """Consequences of a variant, one for each gene, in their order; None where nothing annotated it."""
        raise NotImplementedError


CONSEQUENCE = pa.struct(
    [
        pa.field("gene", pa.int32()),
        pa.field("symbol", pa.string()),
        pa.field("consequence", pa.string()),
        pa.field("variant_class", pa.string()),
        pa.field("loftee", pa.string()),
        pa.field("scores", pa.list_(pa.float64())),
        pa.field("terms", pa.list_(pa.string())),
        pa.field("weight", pa.float64()),
    ]
)
"""A `Consequence` in a table."""
