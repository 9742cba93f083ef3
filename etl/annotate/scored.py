"""Scores of a table beside those that an annotation carries itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from etl.annotate.consequence import Annotator, Consequence, Site
from etl.annotate.part_rows import PartRows


class ScoredAnnotator(Annotator):
    """Adds a variant's scores of a table to each of its consequences.

    Parameters
    ----------
    inner
        What finds the consequences.
    rows
        What `etl.annotate.score_table.join_scores` wrote.
    n_own
        Scores that consequences of `inner` have: NaN where it gives none.
    names
        Scores of the table in their order; NaN where it does not have the variant.
    """

    def __init__(self, inner: Annotator, rows: PartRows, n_own: int, names: Sequence[str]) -> None:
        super().__init__()
        self._inner, self._rows, self._names = inner, rows, tuple(names)
        self._none = [math.nan] * n_own
        self.unknown, self.counts = inner.unknown, inner.counts

    def __call__(self, site: Site) -> list[Consequence] | None:
        """Consequences of one variant, see `Annotator`."""
        found = self._inner(site)
        if not found:
            return found
        rows = self._rows(site.variant)
        told = rows[0] if rows else {}
        scores = [math.nan if told.get(name) is None else told[name] for name in self._names]
        return [one._replace(scores=[*(one.scores or self._none), *scores]) for one in found]
