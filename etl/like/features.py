"""New people's variants beside the first cohort's: features of those it knows, and rows of those it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.aggregate.masks import FEATURES_SCHEMA
from etl.cohort.calls import FEMALE, MALE
from etl.cohort.people import KeptPeople
from etl.like.lookup import VariantTable
from etl.qc.variant_counts import N_SEXES, ploidy
from etl.qc.variants import VARIANT_SCHEMA

COLUMNS = (
    *("variant", "contig", "position", "ref", "alt", "region", "old_alleles", "a_index", "filters"),
    *("annotation", "site_reasons", "person", "call"),
)
"""Columns of the cohort that are read."""

SEEN, FAILED_THERE, UNSEEN, SITE, CALL_RATE = (
    *("variants_known", "failed_in_the_first_cohort", "variants_unseen"),
    *("site_rules", "call_rate"),
)

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class VariantJoin:
    """What tasks need."""

    variants: VariantTable
    people: KeptPeople
    min_call_rate: float | None
    """Of the new people themselves; None: they are too few to measure it."""
    n_people: int
    """Of the first cohort outside the sealed fold: they have none of the alleles of unseen variants."""
    n_men: int
    """Of them: they have one allele on Y and on X, women none on Y."""
    annotated: bool
    """Whether unseen variants count by their annotation, or nowhere."""

    def usable(self, batch: pa.RecordBatch) -> tuple[Flags, Flags]:
        """Variants that pass the rules of sites, and those of them that enough new people are called at."""
        good_V = pc.equal(pc.list_value_length(batch["site_reasons"]), 0).to_numpy(zero_copy_only=False)
        return good_V, good_V & self._called_enough(batch)

    def allele_number(self, regions: Sequence[str]) -> NDArray[np.int64]:
        """Alleles of the first cohort's people outside the sealed fold, were all of them called."""
        n_by_sex = np.zeros(N_SEXES, dtype=np.int64)
        n_by_sex[[FEMALE, MALE]] = self.n_people - self.n_men, self.n_men
        return ploidy(regions) @ n_by_sex

    def _called_enough(self, batch: pa.RecordBatch) -> Flags:
        """On Y the men are asked."""
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


def known_features(
    batches: Iterator[pa.RecordBatch], join: VariantJoin
) -> Generator[pa.RecordBatch, None, Counter[str]]:
    """What a task does: COLUMNS in, FEATURES_SCHEMA of known variants out, and in the end counts."""
    counts: Counter[str] = Counter()
    for batch in batches:
        good_V, used_V = join.usable(batch)
        found, known_V = join.variants.find(batch, ("passes", "features"))
        passes_V = known_V & found["passes"].fill_null(False).to_numpy()
        counts.update(
            {
                SITE: int((~good_V).sum()),
                CALL_RATE: int((good_V & ~used_V).sum()),
                FAILED_THERE: int((used_V & known_V & ~passes_V).sum()),
                SEEN: int((used_V & passes_V).sum()),
                UNSEEN: int((used_V & ~known_V).sum()),
            }
        )
        counting = pa.array(used_V & passes_V & found["features"].is_valid().to_numpy())
        yield pa.RecordBatch.from_arrays(
            [batch["variant"].filter(counting), found["features"].combine_chunks().filter(counting)],
            schema=FEATURES_SCHEMA,
        )
    return counts


def unseen_variants(
    batches: Iterator[pa.RecordBatch], join: VariantJoin
) -> Generator[pa.RecordBatch, None, None]:
    """What a task does: COLUMNS in, VARIANT_SCHEMA of variants that the first cohort lacks out.

    Nobody there carries them: their allele count is 0. What only a cohort can tell of a variant is null.
    """
    for batch in batches:
        _, used_V = join.usable(batch)
        _, known_V = join.variants.find(batch, ("passes",))
        unseen = batch.filter(pa.array(used_V & ~known_V & join.annotated))
        n = unseen.num_rows
        told = {
            "allele_count": pa.array(np.zeros(n, dtype=np.int64)),
            "allele_number": pa.array(join.allele_number(unseen["region"].to_pylist())),
            "reasons": pa.array([[]] * n, pa.list_(pa.string())),
            "passes": pa.array(np.ones(n, dtype=bool)),
        }
        columns = [
            told[field.name]
            if field.name in told
            else unseen[field.name]
            if field.name in COLUMNS
            else pa.nulls(n, field.type)
            for field in VARIANT_SCHEMA
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=VARIANT_SCHEMA)
