"""Consequences from a group file of another program: its genes, its words and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from etl.annotate.consequence import Annotator, Consequence, Site
from etl.annotate.judgement import CLASSES, judge
from etl.annotate.part_rows import PartRows
from etl.annotate.severity import SEVERITY

WORDS = {"lof": "plof", "ptv": "plof", "missense": "other_missense"}
"""Words that group files often have for classes of ours, in lower case."""

NO_WORD = "any"
"""Class of variants that a file gives no annotation, as EPACTS' files do."""


def word_class(word: str | None, classes: Mapping[str, str]) -> str:
    """Variant class of an annotation.

    Parameters
    ----------
    word
        It: what the configuration says of it, else a class or term of ours in any case, else itself.
    classes
        The configuration's `classes`.
    """
    if word is None:
        return NO_WORD
    lower = word.lower()
    if word in classes:
        return classes[word]
    if lower in CLASSES:
        return lower
    if lower in WORDS:
        return WORDS[lower]
    return judge(word, "").variant_class if word in SEVERITY else word


class GroupAnnotator(Annotator):
    """The groups that a variant is in; the most damaging class where one has it several times.

    Parameters
    ----------
    genes
        The gene axis.
    rows
        What `etl.annotate.group_table.join_groups` wrote: variant, gene, word, variant_class, weight.
    """

    def __init__(self, genes: pd.DataFrame, rows: PartRows) -> None:
        super().__init__()
        named = zip(genes["position"].map(int), genes["symbol"], strict=True)
        self._symbols = {place: None if pd.isna(symbol) else str(symbol) for place, symbol in named}
        self._rows = rows

    def __call__(self, site: Site) -> list[Consequence]:
        """Consequences of one variant, see `Annotator`."""
        best: dict[int, dict[str, Any]] = {}
        for row in sorted(self._rows(site.variant), key=_order):
            best.setdefault(row["gene"], row)
        return [self._consequence(best[gene]) for gene in sorted(best)]

    def _consequence(self, row: dict[str, Any]) -> Consequence:
        return Consequence(
            gene=row["gene"],
            symbol=self._symbols[row["gene"]],
            consequence=row["word"],
            variant_class=row["variant_class"],
            terms=[row["word"]] if row["word"] else [],
            weight=row["weight"],
        )


def _order(row: dict[str, Any]) -> tuple[int, str]:
    name = row["variant_class"]
    return CLASSES.index(name) if name in CLASSES else len(CLASSES), row["word"] or ""
