from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession

from etl.aggregate.config import MaskConfig
from etl.aggregate.genes import ENTRY_SCHEMA, LISTED_COLUMNS, add_up, sum_features, sum_variants
from etl.aggregate.masks import FEATURE, FEATURES_SCHEMA, GRID, READ_COLUMNS, mask_features
from etl.aggregate.states import STATES
from etl.annotate.variants import ANNOTATED_SCHEMA
from etl.cohort.passes import Beside, Parts, rewrite_parts
from etl.cohort.people import KeptPeople, kept_people
from tests.etl.cohort_rows import cohort_table, variant, write_cohort

Features = list[tuple[int, float, float, float]]
"""index, and what one, two alternate alleles and a missing call add."""


def people(n: int, sex: str = "unknown") -> KeptPeople:
    """Everybody, with a sample_index that runs backwards."""
    everybody = pd.DataFrame({"person": range(n), "sample_id": [f"P{number}" for number in range(n)]})
    return kept_people(everybody, everybody.assign(sample_index=range(n - 1, -1, -1), sex=sex))


NOBODY = np.zeros(20, dtype=bool)
"""Of 20 people: nobody's alleles were counted."""


def feature(index: int, het: float, hom: float, missing: float, others: float = 1.0) -> dict[str, float]:
    """A feature; for people whose alleles were counted it adds `others` times as much."""
    added = dict.fromkeys(STATES, 0.0) | {"missing": missing, "missing_haploid": missing}
    for name, value in (("het", het), ("hom", hom), ("haploid", hom)):
        added |= {name: value, f"others_{name}": others * value}
    return {"index": index, "collapsed": 0, **added}


def features_column(features: list[list[dict[str, float]]]) -> pa.Array:
    return pa.array(features, pa.list_(FEATURE))


def summed(calls: list[str], features: list[Features], sex: str = "unknown") -> dict[tuple[int, int], float]:
    """Sums by sample_index and index, of variants on X."""
    table = cohort_table(*(variant("chrX", 5_000_000 + place, text) for place, text in enumerate(calls)))
    column = features_column([[feature(*item) for item in row] for row in features])
    batch = table.append_column("features", column).combine_chunks().to_batches()[0]
    rows = sum_features(batch, people(len(calls[0].split()), sex), NOBODY).to_pylist()
    return {(row["sample_index"], row["index"]): row["value"] for row in rows}


def test_sum_features__sums_by_person_and_feature():
    found = summed(
        ["0/1 0/0 1/1", "0/1 0/1 0/0"], [[(4, 1.0, 2.0, 0.0)], [(4, 1.0, 2.0, 0.0), (9, 1.0, 2.0, 0.0)]]
    )
    assert found == {(2, 4): 2.0, (2, 9): 1.0, (1, 4): 1.0, (1, 9): 1.0, (0, 4): 2.0}


def test_sum_features__haploid_alternate_counts_as_homozygous():
    assert summed(["1 0/1 0"], [[(0, 1.0, 2.0, 0.5)]]) == {(2, 0): 2.0, (1, 0): 1.0}


def test_sum_features__missing_is_not_reference():
    assert summed(["./. 0/0 fail"], [[(0, 1.0, 2.0, 0.25)]]) == {(2, 0): 0.25, (0, 0): 0.25}


def test_sum_features__a_mans_heterozygote_on_x_is_missing():
    assert summed(["0/1 1/1"], [[(0, 1.0, 2.0, 0.25)]], sex="male") == {(1, 0): 0.25, (0, 0): 2.0}


def test_sum_features__zero_contributions_are_not_stored():
    assert summed(["./. 0/1 0/0"], [[(0, 0.0, 2.0, 0.0)]]) == {}


def test_sum_features__variants_without_features_between_others():
    found = summed(["0/1", "1/1", "0/1"], [[(3, 1.0, 2.0, 0.0)], [], [(5, 1.0, 2.0, 0.0)]])
    assert found == {(0, 3): 1.0, (0, 5): 1.0}


def test_sum_features__people_who_were_dropped_are_left_out():
    table = cohort_table(variant("chr1", 1000, "0/1 1/1"))
    batch = table.append_column("features", features_column([[feature(0, 1.0, 2.0, 0.0)]])).to_batches()[0]
    only_second = KeptPeople(np.array([-1, 0], dtype=np.int32), np.zeros(1, dtype=np.int8))
    rows = sum_features(batch, only_second, NOBODY).to_pylist()
    assert rows == [{"sample_index": 0, "index": 0, "value": 2.0, "peak": 0.0}]


def test_sum_features__on_y_women_have_neither_a_call_nor_a_missing_one():
    table = cohort_table(variant("chrY", 7_000_000, "./. 0/1 1 0/0 fail"))
    added = feature(0, 1.0, 2.0, 0.25) | {"reference": 4.0, "reference_haploid": 8.0}
    batch = table.append_column("features", features_column([[added]])).to_batches()[0]
    codes = {"female": 1, "male": 2}
    sexes = np.array([codes[sex] for sex in ("female", "female", "male", "female", "male")], dtype=np.int8)
    kept = KeptPeople(np.arange(5, dtype=np.int32), sexes)
    rows = sum_features(batch, kept, NOBODY[:5]).to_pylist()
    assert {row["sample_index"]: row["value"] for row in rows} == {2: 2.0, 4: 0.25}


def test_sum_features__on_y_alleles_of_unknown_sex_are_not_among_those_counted():
    table = cohort_table(variant("chrY", 7_000_000, "0/1 1 0/0 0"))
    added = feature(0, 1.0, 2.0, 0.0, others=10.0)
    added |= {"reference": 3.0, "others_reference": 30.0, "reference_haploid": 5.0}
    batch = table.append_column("features", features_column([[added]])).to_batches()[0]
    kept = KeptPeople(np.arange(4, dtype=np.int32), np.array([0, 2, 0, 2], dtype=np.int8))
    rows = sum_features(batch, kept, np.array([True, True, True, False])).to_pylist()
    assert {row["sample_index"]: row["value"] for row in rows} == {0: 1.0, 1: 20.0, 2: 3.0, 3: 5.0}


def test_sum_features__people_whose_alleles_were_counted():
    table = cohort_table(variant("chrX", 5_000_000, "0/1 1/1 1 0/1 1/1 1 ./."))
    column = features_column([[feature(0, 1.0, 2.0, 0.5, others=10.0)]])
    batch = table.append_column("features", column).to_batches()[0]
    counted = np.array([True, False, False, False, True, True, True])  # by sample_index, which runs backwards
    rows = sum_features(batch, people(7), counted).to_pylist()
    assert [row["value"] for row in rows] == [0.5, 2.0, 2.0, 1.0, 20.0, 20.0, 10.0]


def burden_ratio(max_allele_count: int, others: bool) -> tuple[float, float]:
    """Burden of people of the test fold over that of all others where labels mean nothing, and its error."""
    random = np.random.default_rng(4)
    n_people, n_sealed, n_variants = 400, 100, 4000
    carries = random.random((n_variants, n_people)) < random.uniform(0.0005, 0.03, (n_variants, 1))
    counted = np.arange(n_people) >= n_sealed
    count = carries[:, counted].sum(axis=1)
    annotated = pa.RecordBatch.from_pylist(
        [
            {"variant": place, "allele_count": int(n), "allele_number": 600,
             "consequences": [{"gene": 0, "variant_class": "plof"}]}
            for place, n in enumerate(count)
        ],
        schema=ANNOTATED_SCHEMA,
    )  # fmt: skip
    mask = MaskConfig(name="rare", classes=("any",), max_allele_count=max_allele_count)
    added = mask_features(annotated.select(list(READ_COLUMNS)), [mask], 1)
    by_variant = np.zeros((n_variants, 2))
    for row in added.to_pylist():
        (item,) = row["features"]
        by_variant[row["variant"]] = item["het"], item["others_het" if others else "het"]
    sealed = (carries[:, ~counted] * by_variant[:, :1]).sum()
    rest = (carries[:, counted] * by_variant[:, 1:]).sum()
    ratio = sealed / n_sealed / (rest / counted.sum())
    return float(ratio), float(ratio * np.sqrt(1 / sealed + 1 / rest))


@pytest.mark.parametrize("max_allele_count", [1, 5])
def test_mask_features__no_more_burden_in_the_test_fold_on_a_null_cohort(max_allele_count: int):
    ratio, error = burden_ratio(max_allele_count, others=True)
    assert abs(ratio - 1) < 3 * error
    assert error < 0.07
    # Counted with everybody's own alleles, the test fold would seem to carry more.
    ratio, error = burden_ratio(max_allele_count, others=False)
    assert ratio - 1 > 3 * error


def random_study(n_people: int, n_variants: int) -> tuple[list[dict[str, Any]], dict[int, Features]]:
    """Variants, and by number the features of two in three of them."""
    random = np.random.default_rng(3)
    texts = np.array(["0/0", "0/1", "1/1", "./."])
    codes = random.choice(4, p=[0.8, 0.1, 0.05, 0.05], size=(n_variants, n_people))
    variants = [variant("chr1", 100 + place, " ".join(texts[row])) for place, row in enumerate(codes)]
    amounts = np.floor(random.random((n_variants, 3)) * GRID) / GRID
    return variants, {
        place: [(int(index), *map(float, amounts[place])) for index in random.choice(6, place % 3, False)]
        for place in range(n_variants)
        if place % 3
    }


def test_sum_variants__as_a_matrix_product(tmp_path: Path, hail_session: None):
    variants, features = random_study(n_people=20, n_variants=50)
    cohort = write_cohort(cohort_table(*variants), tmp_path / "cohort", 3)
    rows = [
        {"variant": place, "features": [feature(*item) for item in items]}
        for place, items in features.items()
    ]
    # In each part the features of some of its variants, in another order.
    added = write_cohort(pa.Table.from_pylist(rows[::-1], FEATURES_SCHEMA), tmp_path / "all_features")
    whole = pq.read_table(added)
    (tmp_path / "features").mkdir()
    for part in Path(cohort).iterdir():
        own = pc.is_in(whole["variant"], value_set=pq.read_table(part)["variant"].combine_chunks())
        pq.write_table(whole.filter(own), tmp_path / "features" / part.name)
    parts = Parts(cohort, LISTED_COLUMNS, beside=Beside(str(tmp_path / "features"), "features"))
    summing = partial(sum_variants, people=people(20), counted_K=NOBODY)
    n_rows = rewrite_parts(parts, str(tmp_path / "entries"), ENTRY_SCHEMA, summing)
    entries = SparkSession.builder.getOrCreate().read.parquet(str(tmp_path / "entries"))
    assert (len(n_rows), sum(n_rows)) == (3, entries.count())
    found = add_up(entries).toPandas()
    assert found.dtypes.to_dict() == {"sample_index": "int32", "index": "int32", "value": "float64"}

    wanted = np.zeros((20, 6))
    for place, items in features.items():
        for person, call in enumerate(variants[place]["calls"]):
            for index, het, hom, missing in items:
                wanted[19 - person, index] += {"0/0": 0.0, "0/1": het, "1/1": hom, "./.": missing}[call]
    dense = np.zeros_like(wanted)
    dense[found["sample_index"], found["index"]] = found["value"]
    assert np.array_equal(dense, wanted), "sums of multiples of 1/GRID are exact"
    assert len(found) == np.count_nonzero(wanted)
