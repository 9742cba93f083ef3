"""Masks of every rule on a whole study, through the tasks of two parts and Spark, against dense arrays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession

from etl.aggregate.config import MaskConfig
from etl.aggregate.genes import add_up, sum_features
from etl.aggregate.masks import mask_features
from tests.etl.aggregate.dense import CLASSES, N_GENES, SCORE_NAMES, Study, expected_features, random_study

RULES = [
    {},
    {"coding": "dominant"},
    {"coding": "recessive"},
    {"coding": "missing"},
    {"coding": "missing", "frequency": "minor", "max_frequency": 0.05},
    {"max_frequency": 0.05},
    {"max_frequency": 0.01},
    {"min_frequency": 0.05, "max_frequency": 0.6},
    {"max_allele_count": 3},
    {"max_allele_count": 0},
    {"frequency": "minor"},
    {"frequency": "minor", "coding": "dominant", "max_frequency": 0.05},
    {"frequency": "minor", "coding": "recessive"},
    {"frequency": "minor", "max_allele_count": 3},
    {"x_coding": "haploid"},
    {"frequency": "minor", "x_coding": "haploid", "coding": "recessive"},
    {"weight": "madsen_browning"},
    {"weight": "madsen_browning", "frequency": "minor"},
    {"weight": "beta"},
    {"weight": {"beta": [2, 3]}, "frequency": "minor"},
    {"weight": {"score": "revel"}},
    {"combine": "max"},
    {"combine": "max", "frequency": "minor", "weight": "beta"},
    {"combine": "comphet"},
    {"combine": "comphet", "coding": "dominant", "frequency": "minor"},
    {"combine": "two_hits"},
    {"combine": "two_hits", "coding": "dominant", "frequency": "minor", "max_frequency": 0.3},
    {"collapse_allele_count": 10},
    {"collapse_allele_count": 10, "frequency": "minor", "combine": "comphet"},
    {"max_external_frequency": 0.1},
    {"max_external_frequency": 0.1, "frequency": "minor"},
]


def masks_of(rules: list[dict]) -> list[MaskConfig]:
    return [MaskConfig(name=f"m{place}", classes=("plof",), **rule) for place, rule in enumerate(rules)]


def entries_of(study: Study, masks: list[MaskConfig], split: int) -> pa.Table:
    """Entries of two tasks: variants before and from `split`."""
    found = mask_features(study.annotated, masks, N_GENES, SCORE_NAMES).to_pylist()
    by_variant = {row["variant"]: row["features"] for row in found}
    table = study.cohort
    kind = mask_features(study.annotated, masks, N_GENES, SCORE_NAMES).schema.field("features").type
    column = pa.array([by_variant.get(place, []) for place in range(table.num_rows)], kind)
    table = table.append_column("features", column)
    parts = [table.slice(0, split), table.slice(split)]
    batches = [part.combine_chunks().to_batches()[0] for part in parts]
    return pa.Table.from_batches([sum_features(batch, study.people, study.counted_K) for batch in batches])


def dense(found: pd.DataFrame, n_people: int, n_masks: int) -> np.ndarray:
    values = np.zeros((n_people, n_masks * N_GENES))
    values[found["sample_index"], found["index"]] = found["value"]
    return values.reshape(n_people, n_masks, N_GENES)


@pytest.mark.parametrize("seed", [1, 2])
def test_add_up__every_rule_equals_dense_arrays(seed: int, tmp_path: Path, hail_session: None):
    study, masks = random_study(seed), masks_of(RULES)
    pq.write_table(entries_of(study, masks, 23), tmp_path / "entries.parquet")
    spark = SparkSession.builder.getOrCreate()
    found = add_up(spark.read.parquet(str(tmp_path / "entries.parquet")), masks, N_GENES).toPandas()
    assert (found["value"] != 0).all()
    values = dense(found, len(study.male_K), len(masks))
    plof_V = (study.table["variant_class"] == "plof").to_numpy()
    for place, mask in enumerate(masks):
        wanted = expected_features(study, mask, plof_V)
        assert wanted.any(), RULES[place]
        assert np.array_equal(values[:, place], wanted), RULES[place]


def test_add_up__cutting_the_variants_elsewhere_changes_nothing(tmp_path: Path, hail_session: None):
    study, masks = random_study(3), masks_of(RULES)
    spark = SparkSession.builder.getOrCreate()
    values = []
    for split in (1, 30):
        pq.write_table(entries_of(study, masks, split), tmp_path / f"{split}.parquet")
        found = add_up(spark.read.parquet(str(tmp_path / f"{split}.parquet")), masks, N_GENES).toPandas()
        values.append(dense(found, len(study.male_K), len(masks)))
    assert np.array_equal(*values)


def test_study__has_every_kind_of_call():
    study = random_study(1)
    assert set(np.unique(study.text_VK)) == {"0", "0/0", "0/1", "1", "1/1", "./.", "fail"}
    assert set(study.table["variant_class"]) == set(CLASSES)
