"""The smallest dataset that satisfies the contract, with planted causal genes: for tests and benchmarks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from contract.config import ConfigModel
from contract.dataset import (
    fold_stats,
    part_path,
    prepare_staging,
    publish,
    write_genes,
    write_part,
    write_stats,
)
from contract.manifest import Channel, Fold, Manifest, PartFile, TableFile
from contract.people_tables import KINSHIP, PEOPLE_QC, write_kinship, write_people_qc
from contract.provenance import software_versions
from contract.schema import N_FOLDS

CHANNELS = ("plof", "damaging_missense", "other_missense", "synonymous")


class Example(ConfigModel):
    """What to write."""

    n_samples: int = Field(200, ge=N_FOLDS)
    n_genes: int = Field(50, ge=1)
    channels: tuple[str, ...] = CHANNELS
    causal: tuple[int, ...] = Field(
        (), description="genes whose first channel raises the odds of being a case"
    )
    effect: float = Field(2.0, description="log odds per allele in a causal gene")
    density: float = Field(0.01, gt=0, le=1, description="share of features that are not zero")
    row_group_size: int = Field(64, ge=1)
    row_groups_per_file: int = Field(8, ge=1)
    seed: int = 0


def write_example(root: str, **settings: Any) -> Manifest:
    """Write a random dataset with planted signal; see `Example` for the settings and their defaults.

    Families are pairs of neighbouring samples, so that family-aware code has something to do: siblings in
    kinship.parquet. Metrics in people_qc.parquet are drawn without regard to anything.
    """
    example = Example(**settings)
    rng = np.random.default_rng(example.seed)
    staging = prepare_staging(root)
    genes = gene_axis(example.n_genes)
    write_genes(staging, genes)
    folds: list[Fold] = []
    stats: list[pd.DataFrame] = []
    families = np.arange(example.n_samples) // 2
    fold_of = families % N_FOLDS
    for index in range(N_FOLDS):
        members = np.flatnonzero(fold_of == index)
        rows, fold_sums = _fold_rows(example, rng, members, families[members], index)
        folds.append(_write_fold(staging, example, index, rows))
        stats.append(fold_sums)
    write_stats(staging, pd.concat(stats, ignore_index=True))
    tables = _write_tables(staging, families, np.random.default_rng([example.seed, 1]))
    manifest = Manifest(
        reference_genome="GRCh38",
        n_samples=example.n_samples,
        n_genes=example.n_genes,
        channels=[Channel(name=name, definition={"example": name}) for name in example.channels],
        covariates=["is_female"],
        row_group_size=example.row_group_size,
        test_fold=N_FOLDS - 1,
        folds=folds,
        tables=tables,
        config=example.model_dump(mode="json"),
        software=software_versions(["numpy", "pyarrow", "pandas"]),
        seed=example.seed,
    )
    publish(root, manifest)
    return manifest


def gene_axis(n_genes: int) -> pd.DataFrame:
    """Made-up genes, spread over the autosomes in equal numbers; columns of `GENE_SCHEMA`."""
    position = np.arange(n_genes)
    contig = position * 22 // n_genes + 1
    start = 1_000_000 + 10_000 * (position - np.searchsorted(contig, contig))
    return pd.DataFrame(
        {
            "position": position.astype(np.int32),
            "gene_id": [f"ENSG{number:011d}" for number in position],
            "symbol": [f"GENE{number}" for number in position],
            "contig": [f"chr{number}" for number in contig],
            "start": start,
            "end": start + 2_000,
        }
    )


def _fold_rows(
    example: Example, rng: np.random.Generator, members: NDArray[Any], families: NDArray[Any], fold: int
) -> tuple[pa.Table, pd.DataFrame]:
    n, n_features = len(members), len(example.channels) * example.n_genes
    per_sample = rng.binomial(n_features, example.density, size=n)
    owner = np.repeat(np.arange(n), per_sample)
    # Draw with replacement, then keep each (sample, feature) once: density is a target, not a promise.
    flat = np.unique(owner * n_features + rng.integers(0, n_features, size=len(owner)))
    owner, indices = flat // n_features, (flat % n_features).astype(np.int32)
    values = rng.choice([1.0, 2.0], p=[0.9, 0.1], size=len(flat)).astype(np.float32)
    burden = np.bincount(owner, weights=values * np.isin(indices, example.causal), minlength=n)
    expected = len(example.causal) * example.density * 1.1
    odds = np.exp(example.effect * (burden - expected))
    is_case = (rng.random(n) < odds / (1 + odds)).astype(np.int8)
    is_female = rng.integers(0, 2, size=n)
    offsets = pa.array(np.searchsorted(owner, np.arange(n + 1)), pa.int32())
    rows = pa.table(
        {
            "sample_id": [f"S{number:06d}" for number in members],
            "sample_index": pa.array(members, pa.int32()),
            "is_case": is_case,
            "sex": np.where(is_female == 1, "female", "male"),
            "batch": np.where(rng.random(n) < 0.5, "batch1", "batch2"),
            "ancestry": ["group1"] * n,
            "family": pa.array(families, pa.int32()),
            "covariates": pa.array(
                [[value] for value in is_female.astype(np.float32)], pa.list_(pa.float32())
            ),
            "indices": pa.ListArray.from_arrays(offsets, pa.array(indices)),
            "values": pa.ListArray.from_arrays(offsets, pa.array(values)),
        }
    )
    return rows, fold_stats(fold, indices, values, n, example.n_genes)


def _write_tables(staging: str, families: NDArray[Any], rng: np.random.Generator) -> dict[str, TableFile]:
    n = len(families)
    first = np.flatnonzero(families[:-1] == families[1:])
    pairs = pd.DataFrame({"sample_index_1": first, "sample_index_2": first + 1, "kinship": 0.25})
    metrics = pd.DataFrame(
        {
            "sample_index": np.arange(n),
            "call_rate": 1 - rng.beta(4, 400, n),
            "mean_dp": rng.normal(45, 6, n),
            "mean_gq": rng.normal(80, 3, n),
            "n_singleton": rng.poisson(90, n),
            "n_snp": rng.poisson(20_000, n),
            "r_ti_tv": rng.normal(2.9, 0.05, n),
            "r_het_hom_var": rng.normal(1.6, 0.08, n),
            "r_insertion_deletion": rng.normal(0.9, 0.05, n),
        }
    )
    return {KINSHIP: write_kinship(staging, pairs), PEOPLE_QC: write_people_qc(staging, metrics)}


def _write_fold(staging: str, example: Example, index: int, rows: pa.Table) -> Fold:
    rows_per_file = example.row_group_size * example.row_groups_per_file
    files: list[PartFile] = [
        write_part(
            staging,
            part_path(index, start // rows_per_file),
            rows.slice(start, rows_per_file),
            example.row_group_size,
        )
        for start in range(0, rows.num_rows, rows_per_file)
    ]
    n_cases = int(np.sum(rows.column("is_case").to_numpy()))
    return Fold(
        index=index,
        n_samples=rows.num_rows,
        n_cases=n_cases,
        n_controls=rows.num_rows - n_cases,
        files=files,
    )
