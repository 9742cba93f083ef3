"""What is known of a variant before and after annotation, whatever the source."""

from __future__ import annotations

from collections.abc import Callable
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


class Consequence(NamedTuple):
    """The worst that a variant does to one gene."""

    gene: int
    """Place on the gene axis."""
    symbol: str | None
    consequence: str | None
    """Term of Ensembl; None where genes are intervals alone."""
    variant_class: str


Annotator = Callable[[Site], list[Consequence] | None]
"""Consequences of a variant, one for each gene, ascending by gene; None where nothing annotated it."""

CONSEQUENCE = pa.struct(
    [
        pa.field("gene", pa.int32()),
        pa.field("symbol", pa.string()),
        pa.field("consequence", pa.string()),
        pa.field("variant_class", pa.string()),
    ]
)
"""A `Consequence` in a table."""
