"""The export of a dataset whose features are drawn directly: shuffle to people, part files, manifest.

python -m deploy.bench.export PEOPLE GENES DENSITY DRIVER_MEMORY FOLDER; writes FOLDER/export.json
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contract.manifest import Channel
from contract.schema import N_FOLDS
from deploy.bench.etl import folder_bytes
from etl.aggregate.genes import ENTRY_SCHEMA, add_up
from etl.config import SparkConfig
from etl.export.config import DatasetFacts
from etl.export.parquet import write_dataset
from etl.session import starting

CHANNELS = ("plof", "damaging_missense", "other_missense", "synonymous")
SPREAD_OVER = 32
"""Tasks of the aggregation: each holds the entries of some genes, of all people."""

COMPONENTS = 10


def draw_entries(n_people: int, n_genes: int, density: float, folder: Path, *, seed: int) -> int:
    """Write entries as the aggregation leaves them, gene after gene; return how many features they make.

    Rows of ENTRY_SCHEMA, one per person and feature: a share `density` of all features, with one or two
    alleles each.
    """
    folder.mkdir(parents=True)
    total = 0
    for number, genes in enumerate(np.array_split(np.arange(n_genes), SPREAD_OVER)):
        random = np.random.default_rng([seed, number])
        with pq.ParquetWriter(folder / f"part-{number:05d}.parquet", ENTRY_SCHEMA) as writer:
            for index in (genes[:, None] + n_genes * np.arange(len(CHANNELS))).ravel():
                carriers = np.flatnonzero(random.random(n_people, dtype=np.float32) < density)
                value = 1.0 + (random.random(len(carriers)) < 0.05)
                columns = [carriers, np.full(len(carriers), index), value, np.zeros(len(carriers))]
                arrays = [
                    pa.array(column, field.type) for column, field in zip(columns, ENTRY_SCHEMA, strict=True)
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=ENTRY_SCHEMA))
                total += len(carriers)
    return total


def draw_people(n_people: int, *, seed: int) -> pd.DataFrame:
    """People with ten components as covariates, in folds of one size; half of them are cases."""
    random = np.random.default_rng(seed)
    index = np.arange(n_people)
    return pd.DataFrame(
        {
            "sample_id": [f"P{number:06d}" for number in index],
            "sample_index": index,
            "is_case": index % 2,
            "sex": np.where(random.random(n_people) < 0.5, "female", "male"),
            "batch": "A",
            "ancestry": "1",
            "family": index,
            "covariates": list(random.standard_normal((n_people, COMPONENTS)).astype(np.float32)),
            "fold": random.permutation(n_people) % N_FOLDS,
        }
    )


def draw_genes(n_genes: int) -> pd.DataFrame:
    """A gene axis."""
    place = np.arange(n_genes)
    return pd.DataFrame(
        {
            "position": place,
            "gene_id": [f"G{number:05d}" for number in place],
            "symbol": None,
            "contig": "chr1",
            "start": 1 + 1000 * place,
            "end": 1000 + 1000 * place,
        }
    )


def export(n_people: int, n_genes: int, density: float, driver_memory: str, folder: Path) -> dict[str, Any]:
    """Return seconds of the export without those of drawing and of starting Spark, and sizes."""
    entries = folder / "entries.parquet"
    n_entries = draw_entries(n_people, n_genes, density, entries, seed=1)
    people, genes = draw_people(n_people, seed=2), draw_genes(n_genes)
    facts = DatasetFacts(
        reference_genome="GRCh38",
        channels=[Channel(name=name, definition={}) for name in CHANNELS],
        covariates=[f"pc{number + 1}" for number in range(COMPONENTS)],
        test_fold=0,
        seed=1,
        scratch=str(folder),
    )
    with starting(SparkConfig(driver_memory=driver_memory)) as engine:
        engine.wait_for_spark()
        from pyspark.sql import SparkSession

        frame = SparkSession.builder.getOrCreate().read.parquet(str(entries))
        started = time.perf_counter()
        write_dataset(str(folder / "dataset"), people, add_up(frame), genes, facts=facts)
        seconds = time.perf_counter() - started
    size = folder_bytes(folder / "dataset")
    return {
        "people": n_people,
        "non_zeros": n_entries,
        "seconds": seconds,
        "seconds_per_million": seconds / n_entries * 1e6,
        "dataset_mb": size / 1e6,
        "share_of_dense_int8": size / (n_people * n_genes * len(CHANNELS)),
    }


if __name__ == "__main__":
    out = Path(sys.argv[5])
    told = export(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], out)
    (out / "export.json").write_text(json.dumps(told), encoding="utf-8")
