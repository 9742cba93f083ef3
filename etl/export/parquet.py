"""From features by person in Spark to the dataset of the contract: sample-major, manifest last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from contract.dataset import prepare_staging, publish, write_genes, write_stats
from contract.errors import InputError, fault
from contract.manifest import Fold, Manifest, PartFile, TableFile
from contract.people_tables import KINSHIP, PEOPLE_QC, write_kinship, write_people_qc
from contract.schema import N_FOLDS, SAMPLE_SCHEMA
from contract.storage import absolute, hadoop_name, join, replaced_whole
from etl.export.config import DatasetFacts
from etl.export.parts import PART_COLUMNS, write_people

PLACED = "placed_samples.parquet"
"""People with their places, as Spark reads them."""

_PLACED_SCHEMA = pa.schema(
    [
        *(field for field in SAMPLE_SCHEMA if field.name not in ("indices", "values")),
        *(pa.field(name, pa.int32()) for name in ("fold", "part", "place")),
    ]
)


def write_dataset(
    root: str,
    samples: pd.DataFrame,
    features: DataFrame,
    genes: pd.DataFrame,
    *,
    facts: DatasetFacts,
) -> Manifest:
    """Write and publish the dataset.

    Spark shuffles the non-zero features to the part that holds their person; each part is written where it
    lies, so that `root` must be reachable from the executors. Within a fold people stand in a seeded random
    order. Features of people who are not in `samples` are left out.

    Parameters
    ----------
    root
        Any URL that fsspec knows. What stands there is replaced once the new dataset is complete.
    samples
        One row per person: sample_id, sample_index (0 … n − 1), is_case (1, 0 or missing), sex, batch,
        ancestry, family, covariates (list of floats), fold.
    features
        Columns sample_index, index, value; computed once, and kept while the dataset is written.
    genes
        The gene axis.
    facts
        The rest of the manifest, and the optional tables.

    Raises
    ------
    InputError
        If no person is left.
    """
    placed = place_samples(samples, facts)
    # Executors write the parts, each in a working folder of its own.
    root = absolute(root)
    staging = prepare_staging(root)
    spark, path = features.sparkSession, _write_placed(placed, facts.scratch)
    # Read twice: Spark can't tell columns of a frame joined with itself apart.
    people = spark.read.parquet(hadoop_name(path))
    homes = spark.read.parquet(hadoop_name(path)).select("sample_index", "fold", "part")
    at_home = (
        features.join(sql.broadcast(homes), "sample_index")
        .withColumn("value", sql.col("value").cast("float"))
        .cache()
    )
    parts = _write_parts(staging, people, at_home, facts.row_group_size)
    write_genes(staging, genes)
    write_stats(staging, _stats(at_home, placed, len(genes)))
    at_home.unpersist()
    manifest = _manifest(placed, parts, len(genes), facts)
    manifest = manifest.model_copy(update={"tables": _write_tables(staging, facts)})
    if facts.write_reference is not None:
        manifest = manifest.model_copy(update={"reference": facts.write_reference(staging, manifest)})
    publish(root, manifest)
    return manifest


def _write_tables(staging: str, facts: DatasetFacts) -> dict[str, TableFile]:
    tables = {}
    if facts.kinship is not None:
        tables[KINSHIP] = write_kinship(staging, facts.kinship)
    if facts.people_qc is not None:
        tables[PEOPLE_QC] = write_people_qc(staging, facts.people_qc)
    return tables


def place_samples(samples: pd.DataFrame, facts: DatasetFacts) -> pd.DataFrame:
    """Give each person a part and a place: a random order within the fold that the seed fixes.

    Raises
    ------
    InputError
        If there is no person.
    ValueError
        If `sample_index` does not run from 0 without gaps.
    """
    if samples.empty:
        raise InputError(fault("cohort", "people after quality control", found="none", wanted="at least one"))
    placed = samples.sort_values("sample_index", ignore_index=True)
    if not np.array_equal(placed["sample_index"].to_numpy(), np.arange(len(placed))):
        raise ValueError("sample_index must run from 0 to the number of people without gaps")
    place = np.empty(len(placed), dtype=np.int64)
    for fold in range(N_FOLDS):
        members = np.flatnonzero(placed["fold"] == fold)
        place[members] = np.random.default_rng([facts.seed, fold]).permutation(len(members))
    return placed.assign(place=place, part=place // (facts.row_group_size * facts.row_groups_per_file))


def _write_placed(placed: pd.DataFrame, scratch: str) -> str:
    path = join(scratch, PLACED)
    rows = pa.Table.from_pandas(placed[_PLACED_SCHEMA.names], _PLACED_SCHEMA, preserve_index=False)
    with replaced_whole(path) as partial:
        pq.write_table(rows, partial)
    return path


def _write_parts(staging: str, people: DataFrame, at_home: DataFrame, row_group_size: int) -> pd.DataFrame:
    def write(samples: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
        return write_people(samples, features, staging, row_group_size)

    key = ["fold", "part"]
    groups = people.groupBy(key).cogroup(at_home.groupBy(key))
    with _arrow(people.sparkSession):
        return groups.applyInPandas(write, PART_COLUMNS).toPandas().sort_values(key, ignore_index=True)


def _stats(at_home: DataFrame, placed: pd.DataFrame, n_genes: int) -> pd.DataFrame:
    value = sql.col("value").cast("double")
    sums = at_home.groupBy("fold", "index").agg(
        sql.sum(value).alias("sum"), sql.sum(value * value).alias("sum_squares")
    )
    with _arrow(at_home.sparkSession):
        stats = sums.toPandas().sort_values(["fold", "index"], ignore_index=True)
    people = placed["fold"].value_counts()
    return stats.assign(
        channel=(stats["index"] // n_genes).astype(np.int32),
        gene=(stats["index"] % n_genes).astype(np.int32),
        n=stats["fold"].map(people).astype(np.int64),
    )


def _manifest(placed: pd.DataFrame, parts: pd.DataFrame, n_genes: int, facts: DatasetFacts) -> Manifest:
    folds = [
        _fold(index, placed[placed["fold"] == index], parts[parts["fold"] == index])
        for index in range(N_FOLDS)
    ]
    return Manifest(
        n_samples=len(placed),
        n_genes=n_genes,
        folds=folds,
        **{name: value for name, value in facts if name in Manifest.model_fields},
    )


def _fold(index: int, members: pd.DataFrame, parts: pd.DataFrame) -> Fold:
    files = [PartFile(**{name: row[name] for name in PartFile.model_fields}) for _, row in parts.iterrows()]
    if sum(file.rows for file in files) != len(members):
        raise RuntimeError(f"fold {index}: {sum(file.rows for file in files)} rows written of {len(members)}")
    return Fold(
        index=index,
        n_samples=len(members),
        n_cases=int((members["is_case"] == 1).sum()),
        n_controls=int((members["is_case"] == 0).sum()),
        files=files,
    )


@contextmanager
def _arrow(spark: SparkSession) -> Iterator[None]:
    """Let small results reach the driver as Arrow batches."""
    name = "spark.sql.execution.arrow.pyspark.enabled"
    before = spark.conf.get(name)
    spark.conf.set(name, "true")
    try:
        yield
    finally:
        spark.conf.set(name, before)
