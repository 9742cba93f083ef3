"""What new people's variants add to features: the first cohort's own, and those that nobody there carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.aggregate.config import MaskConfig
from etl.aggregate.masks import FEATURES_SCHEMA, mask_variants
from etl.annotate.consequence import Annotator
from etl.annotate.variants import READ_COLUMNS, annotate_variants
from etl.cohort.calls import MALE
from etl.cohort.people import KeptPeople
from etl.like.lookup import VariantTable

COLUMNS = (
    *("variant", "contig", "position", "ref", "alt", "region", "old_alleles", "a_index", "annotation"),
    *("site_reasons", "person", "call"),
)
"""Columns of the cohort that are read."""

SEEN, FAILED_THERE, UNSEEN, SITE, CALL_RATE = (
    *("variants_known", "failed_in_the_first_cohort", "variants_unseen"),
    *("site_rules", "call_rate"),
)

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class NewFeatures:
    """What tasks need."""

    variants: VariantTable
    people: KeptPeople
    min_call_rate: float | None
    """Of the new people themselves; None: they are too few to measure it."""
    annotator: Annotator | None
    """For variants that the first cohort lacks; None: these count nowhere."""
    masks: Sequence[MaskConfig]
    n_genes: int
    allele_number: int
    """Of the first cohort's people outside the sealed fold: it has none of the alleles of unseen variants."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, Counter[str]]:
        """What a task does: batches of COLUMNS in, FEATURES_SCHEMA out, and in the end what was counted."""
        counts: Counter[str] = Counter()
        for batch in batches:
            yield from self._features(batch, counts)
        return counts

    def _features(self, batch: pa.RecordBatch, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        good_V = pc.equal(pc.list_value_length(batch["site_reasons"]), 0).to_numpy(zero_copy_only=False)
        called_V = self._called_enough(batch)
        found, known_V = self.variants.find(batch, ("passes", "features"))
        passes_V = known_V & found["passes"].fill_null(False).to_numpy()
        used_V = good_V & called_V
        counts.update(
            {
                SITE: int((~good_V).sum()),
                CALL_RATE: int((good_V & ~called_V).sum()),
                FAILED_THERE: int((used_V & known_V & ~passes_V).sum()),
                SEEN: int((used_V & passes_V).sum()),
                UNSEEN: int((used_V & ~known_V).sum()),
            }
        )
        counting_V = used_V & passes_V & found["features"].is_valid().to_numpy()
        features = found["features"].combine_chunks().filter(pa.array(counting_V))
        yield pa.RecordBatch.from_arrays(
            [batch["variant"].filter(pa.array(counting_V)), features], schema=FEATURES_SCHEMA
        )
        unseen = batch.filter(pa.array(used_V & ~known_V))
        if self.annotator is not None and unseen.num_rows:
            yield from self._unseen_features(unseen, self.annotator)

    def _unseen_features(self, batch: pa.RecordBatch, annotator: Annotator) -> Iterator[pa.RecordBatch]:
        n = batch.num_rows
        added = {
            "allele_count": pa.array(np.zeros(n, dtype=np.int64)),
            "allele_number": pa.array(np.full(n, self.allele_number)),
            "passes": pa.array(np.ones(n, dtype=bool)),
        }
        columns = [added[name] if name in added else batch[name] for name in READ_COLUMNS]
        rows = pa.RecordBatch.from_arrays(columns, list(READ_COLUMNS))
        yield from mask_variants(annotate_variants(iter([rows]), annotator), self.masks, self.n_genes)

    def _called_enough(self, batch: pa.RecordBatch) -> Flags:
        """Whether enough of the new people have a call; on Y of the men."""
        if self.min_call_rate is None:
            return np.ones(batch.num_rows, dtype=bool)
        calls = self.people.calls(batch)
        on_y_V = np.array([region == "y" for region in batch["region"].to_pylist()], dtype=bool)
        man_E = self.people.sex_K[calls.person_E] == MALE
        missing_E = calls.missing_E & (man_E | ~on_y_V[calls.variant_E])
        n_missing_V = np.bincount(calls.variant_E[missing_E], minlength=batch.num_rows)
        n_men, n_people = int((self.people.sex_K == MALE).sum()), len(self.people.sex_K)
        rate_V = 1 - n_missing_V / np.maximum(np.where(on_y_V, n_men, n_people), 1)
        enough_V: Flags = rate_V >= self.min_call_rate
        return enough_V
