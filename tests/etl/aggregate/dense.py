"""A small random study with every kind of call, and what masks make of it by plain sums over dense arrays.

Axes: V variants, K people, G genes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import beta

from etl.aggregate.config import MaskConfig
from etl.aggregate.masks import GRID, READ_COLUMNS
from etl.annotate.variants import ANNOTATED_SCHEMA
from etl.cohort.people import KeptPeople, kept_people
from tests.etl.cohort_rows import cohort_table, variant

N_GENES = 3
SCORE_NAMES = ("revel", "external_frequency")
CLASSES = ("plof", "synonymous")


@dataclass(frozen=True)
class Study:
    """Calls as text, such as 0/1, and what is known of variants and people."""

    text_VK: NDArray[np.str_]
    on_x_V: NDArray[np.bool_]
    male_K: NDArray[np.bool_]
    counted_K: NDArray[np.bool_]
    table: pd.DataFrame
    """gene, variant_class, revel and external_frequency (NaN: missing) of each variant."""
    n_genes: int = N_GENES

    @property
    def alternate_VK(self) -> NDArray[np.float64]:
        """Alternate alleles; NaN where the call is missing."""
        known = {"0/0": 0.0, "0/1": 1.0, "1/1": 2.0, "0": 0.0, "1": 1.0}
        return np.vectorize(lambda text: known.get(text, np.nan))(self.text_VK)

    @property
    def ploidy_VK(self) -> NDArray[np.int64]:
        """Alleles that a call has or would have."""
        return 2 - (self.on_x_V[:, np.newaxis] & self.male_K).astype(int)

    @property
    def cohort(self) -> pa.Table:
        """Rows of the sparse cohort."""
        return cohort_table(
            *(
                variant("chrX" if on_x else "chr1", 5_000_000 + place, " ".join(texts))
                for place, (on_x, texts) in enumerate(zip(self.on_x_V, self.text_VK, strict=True))
            )
        )

    @property
    def people(self) -> KeptPeople:
        """Everybody, numbered as the columns are."""
        names = [f"P{number}" for number in range(len(self.male_K))]
        everybody = pd.DataFrame({"person": range(len(names)), "sample_id": names})
        sex = np.where(self.male_K, "male", "female")
        return kept_people(everybody, everybody.assign(sample_index=range(len(names)), sex=sex))

    @property
    def annotated(self) -> pa.RecordBatch:
        """The variants with their allele counts among people outside the test fold."""
        alternate_VK = np.where(self.counted_K, self.alternate_VK, np.nan)
        called_VK = np.where(np.isnan(alternate_VK), 0, self.ploidy_VK)
        rows = [
            {
                "variant": place,
                "allele_count": int(np.nansum(alternate_VK[place])),
                "allele_number": int(called_VK[place].sum()),
                "consequences": [
                    {
                        "gene": row.gene,
                        "variant_class": row.variant_class,
                        "scores": [row.revel, row.external_frequency],
                    }
                ],
            }
            for place, row in enumerate(self.table.itertuples())
        ]
        return pa.RecordBatch.from_pylist(rows, schema=ANNOTATED_SCHEMA).select(list(READ_COLUMNS))


def random_study(seed: int, n_variants: int = 60, n_people: int = 50) -> Study:
    """Variants of all frequencies, men and women, missing calls; a fifth of the people in the test fold."""
    random = np.random.default_rng(seed)
    male_K, on_x_V = random.random(n_people) < 0.5, random.random(n_variants) < 0.3
    frequency_V = random.choice([0.01, 0.05, 0.3, 0.5, 0.7, 0.95, 0.99], n_variants)
    ploidy_VK = 2 - (on_x_V[:, np.newaxis] & male_K).astype(int)
    alternate_VK = random.binomial(ploidy_VK, frequency_V[:, np.newaxis])
    text_VK = np.array([["0", "1", "."], ["0/0", "0/1", "1/1"]])[ploidy_VK - 1, alternate_VK].astype("<U4")
    missing_VK = random.random(text_VK.shape) < 0.05
    text_VK[missing_VK] = random.choice(["./.", "fail"], missing_VK.sum())
    table = pd.DataFrame(
        {
            "gene": random.integers(N_GENES, size=n_variants),
            "variant_class": random.choice(CLASSES, n_variants),
            "revel": np.where(random.random(n_variants) < 0.3, np.nan, random.random(n_variants)),
            "external_frequency": np.where(random.random(n_variants) < 0.5, np.nan, frequency_V),
        }
    )
    return Study(text_VK, on_x_V, male_K, random.random(n_people) < 0.8, table)


def expected_features(study: Study, mask: MaskConfig, meets_V: NDArray[np.bool_]) -> NDArray[np.float64]:
    """People × genes by the words of docs/masks.md, for variants that meet the mask's conditions."""
    alternate, ploidy = study.alternate_VK, study.ploidy_VK
    missing, own = np.isnan(alternate), study.counted_K & ~np.isnan(alternate)
    called = np.where(own, ploidy, 0)
    number = called.sum(axis=1, keepdims=True) - called
    count = np.where(own, alternate, 0).sum(axis=1, keepdims=True) - np.where(own, alternate, 0)
    flip = (count > number / 2) & (mask.frequency == "minor")
    count, carried = np.where(flip, number - count, count), np.where(flip, ploidy - alternate, alternate)
    frequency = count / number
    value = np.where(missing, expected_when_missing(mask, frequency, ploidy), coded(mask, carried, ploidy))
    value = np.where(missing & (mask.max_frequency <= 0.01 or mask.combine != "sum"), 0, value)
    value = np.floor(value * weight(study, mask, count, number) * GRID + 0.5) / GRID
    keep = meets_V[:, np.newaxis] & (frequency <= mask.max_frequency)
    if mask.coding == "missing":
        value = (missing & np.where(own, alternate, 0).any(axis=1, keepdims=True)).astype(float)
    keep &= (frequency > mask.min_frequency) | (mask.min_frequency == 0)
    keep &= count <= (np.inf if mask.max_allele_count is None else mask.max_allele_count)
    if mask.max_external_frequency is not None:
        external = study.table["external_frequency"].fillna(0).to_numpy()[:, np.newaxis]
        keep &= np.where(flip, 1 - external, external) <= mask.max_external_frequency
    value = np.where(keep, value, 0)
    ultra_rare = count <= (-1 if mask.collapse_allele_count is None else mask.collapse_allele_count)
    value = np.where(missing & ultra_rare, 0, value)
    return np.stack([combined(mask, value[rows], ultra_rare[rows]) for rows in genes(study)], axis=1)


def genes(study: Study) -> list[NDArray[np.bool_]]:
    return [(study.table["gene"] == gene).to_numpy() for gene in range(study.n_genes)]


def coded(mask: MaskConfig, carried: NDArray[np.float64], ploidy: NDArray[np.int64]) -> NDArray[np.float64]:
    if mask.coding == "additive":
        return carried * (2 / ploidy if mask.x_coding == "diploid" else 1)
    return (carried == ploidy if mask.coding == "recessive" else carried > 0).astype(float)


def expected_when_missing(
    mask: MaskConfig, frequency: NDArray[np.float64], ploidy: NDArray[np.int64]
) -> NDArray[np.float64]:
    if mask.coding == "additive":
        return (2 if mask.x_coding == "diploid" else ploidy) * frequency
    return frequency**ploidy if mask.coding == "recessive" else 1 - (1 - frequency) ** ploidy


def weight(
    study: Study, mask: MaskConfig, count: NDArray[np.float64], number: NDArray[np.float64]
) -> NDArray[np.float64] | float:
    if mask.weight.kind == "beta":
        return beta.pdf(count / number, *mask.weight.shape)
    if mask.weight.kind == "madsen_browning":
        people, q = number / 2, (count + 1) / (number + 2)
        return 1 / np.sqrt(people * q * (1 - q))
    return study.table["revel"].fillna(0).to_numpy()[:, np.newaxis] if mask.weight.kind == "score" else 1.0


def combined(
    mask: MaskConfig, value: NDArray[np.float64], ultra_rare: NDArray[np.bool_]
) -> NDArray[np.float64]:
    if mask.combine == "max":
        return value.max(axis=0, initial=0)
    total = np.where(ultra_rare, 0, value).sum(axis=0) + np.where(ultra_rare, value, 0).max(axis=0, initial=0)
    if mask.combine == "comphet":
        return np.minimum(total, 2)
    return (total >= 2).astype(float) if mask.combine == "two_hits" else total
