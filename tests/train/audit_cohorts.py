"""Cohorts with known faults, written by the contract's functions, and runs whose scores a ridge made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from contract.dataset import (
    fold_stats,
    part_path,
    prepare_staging,
    publish,
    write_genes,
    write_part,
    write_stats,
)
from contract.example import CHANNELS, gene_axis
from contract.manifest import Channel, Fold, Manifest, read_manifest
from contract.people_tables import write_kinship, write_people_qc
from tests.train.runs import config_maker, fit_quietly
from train.audit.fitting import out_of_fold, scaled_features
from train.config import DataConfig
from train.design import read_design
from train.direct import OUT_OF_FOLD_NAME

GENES, TEST_FOLD = 60, 9
N_FEATURES = GENES * len(CHANNELS)


@dataclass(frozen=True)
class Cohort:
    """A cohort in memory; x_MF holds counts of channels × genes."""

    x_MF: NDArray[np.int64]
    is_case_M: NDArray[np.int8]
    batch_M: NDArray[np.str_]
    family_M: NDArray[np.int64]
    fold_M: NDArray[np.int64]
    component_M: NDArray[np.float64]
    quality: pd.DataFrame
    definitions: tuple[dict, ...] = tuple({"example": name} for name in CHANNELS)
    fitted_on: tuple[tuple[str, str], ...] = (("allele frequencies", "people outside the test fold"),)


def draw_cohort(
    seed: int,
    *,
    n: int = 1500,
    signal: float = 0.0,
    batch_of_cases: float = 0.5,
    batch_loss: float = 0.0,
    batch_of_controls: float | None = None,
) -> Cohort:
    """Pairs of siblings, two batches, half of the people cases.

    `signal` is the deviation of the genes' log odds (20 of 60 genes, first two channels); `batch_of_cases`
    the share of cases in batch B, whose people lose a share `batch_loss` of their counts.
    """
    rng = np.random.default_rng([seed, 3])
    x_MF = rng.poisson(0.1, (n, N_FEATURES))
    effects_F = np.zeros(N_FEATURES)
    causal = rng.choice(GENES, 20, replace=False)
    effects_F[causal] = rng.normal(1, 0.5, 20)
    effects_F[causal + GENES] = effects_F[causal] / 2
    odds_M = x_MF @ effects_F
    odds_M = signal * (odds_M - odds_M.mean()) / odds_M.std()
    is_case_M = (rng.random(n) < 1 / (1 + np.exp(-odds_M))).astype(np.int8)
    of_controls = 1 - batch_of_cases if batch_of_controls is None else batch_of_controls
    in_b = rng.random(n) < np.where(is_case_M == 1, batch_of_cases, of_controls)
    x_MF = rng.binomial(x_MF, np.where(in_b, 1 - batch_loss, 1.0)[:, None])
    family_M = np.arange(n) // 2
    quality = pd.DataFrame(
        {
            "sample_index": np.arange(n),
            "call_rate": 1 - rng.beta(4, 400, n) - np.where(in_b, 0.05 * batch_loss, 0),
            "mean_dp": rng.normal(45, 6, n),
            "mean_gq": rng.normal(80, 3, n),
        }
    )
    return Cohort(
        x_MF,
        is_case_M,
        np.where(in_b, "B", "A"),
        family_M,
        family_M % 10,
        rng.normal(size=n),
        quality,
    )


def choose_by_status(cohort: Cohort, seen_M: NDArray[np.bool_], n_variants: int = 10) -> Cohort:
    """Keep in the first channel the variants that more cases than controls of some people carry."""
    rng = np.random.default_rng(5)
    x_MF = cohort.x_MF.copy()
    case_M = cohort.is_case_M == 1
    for gene in range(GENES):
        variant_M = rng.integers(0, n_variants, len(x_MF))
        carried_M = x_MF[:, gene] > 0
        for variant in range(n_variants):
            carriers = carried_M & (variant_M == variant)
            kept = (carriers & seen_M & case_M).sum() > (carriers & seen_M & ~case_M).sum()
            if not kept:
                x_MF[carriers, gene] = 0
    return replace(cohort, x_MF=x_MF)


def write_cohort(root: str, cohort: Cohort, pairs: NDArray[np.int64] | None = None) -> Manifest:
    """Write a cohort as a dataset; `pairs` are rows of two relatives, null: the siblings."""
    staging = prepare_staging(root)
    write_genes(staging, gene_axis(GENES))
    folds, stats = [], []
    for index in range(10):
        members = np.flatnonzero(cohort.fold_M == index)
        rows, sums = _rows(cohort, members, index)
        files = [write_part(staging, part_path(index, 0), rows, 64)]
        cases = int(cohort.is_case_M[members].sum())
        n = len(members)
        folds.append(Fold(index=index, n_samples=n, n_cases=cases, n_controls=n - cases, files=files))
        stats.append(sums)
    write_stats(staging, pd.concat(stats, ignore_index=True))
    if pairs is None:
        first = np.flatnonzero(cohort.family_M[:-1] == cohort.family_M[1:])
        pairs = np.stack([first, first + 1], axis=1)
    kinship = pd.DataFrame(
        {"sample_index_1": pairs[:, 0], "sample_index_2": pairs[:, 1], "kinship": np.full(len(pairs), 0.25)}
    )
    manifest = Manifest(
        reference_genome="GRCh38",
        n_samples=len(cohort.x_MF),
        n_genes=GENES,
        channels=[
            Channel(name=name, definition=definition)
            for name, definition in zip(CHANNELS, cohort.definitions, strict=True)
        ],
        covariates=["pc1"],
        row_group_size=64,
        test_fold=TEST_FOLD,
        folds=folds,
        tables={
            "kinship": write_kinship(staging, kinship),
            "people_qc": write_people_qc(staging, cohort.quality),
        },
        fitted_on=dict(cohort.fitted_on),
        seed=1,
    )
    publish(root, manifest)
    return manifest


def _rows(cohort: Cohort, members: NDArray[np.int64], fold: int) -> tuple[pa.Table, pd.DataFrame]:
    x_MF = cohort.x_MF[members]
    owner, indices = np.nonzero(x_MF)
    values = x_MF[owner, indices].astype(np.float32)
    offsets = pa.array(np.searchsorted(owner, np.arange(len(members) + 1)), pa.int32())
    rows = pa.table(
        {
            "sample_id": [f"S{number:06d}" for number in members],
            "sample_index": pa.array(members, pa.int32()),
            "is_case": cohort.is_case_M[members],
            "sex": ["female"] * len(members),
            "batch": cohort.batch_M[members],
            "ancestry": ["group1"] * len(members),
            "family": pa.array(cohort.family_M[members], pa.int32()),
            "covariates": pa.array(
                [[value] for value in cohort.component_M[members].astype(np.float32)], pa.list_(pa.float32())
            ),
            "indices": pa.ListArray.from_arrays(offsets, pa.array(indices, pa.int32())),
            "values": pa.ListArray.from_arrays(offsets, pa.array(values)),
        }
    )
    return rows, fold_stats(fold, indices, values, len(members), GENES)


def make_run(folder: Path, cohort: Cohort, pairs: NDArray[np.int64] | None = None) -> Path:
    """A dataset, a run that was fitted for one epoch, and out-of-fold scores of a ridge."""
    root = str(folder / "dataset")
    write_cohort(root, cohort, pairs)
    run = fit_quietly(config_maker(root, folder)(stopping={"max_epochs": 1}))
    write_out_of_fold(run, root)
    return run


def write_out_of_fold(run: Path, root: str) -> None:
    """out_of_fold.parquet as `fit` leaves it, by a ridge logistic regression."""
    design = read_design(DataConfig(dataset=root, reader="arrow"), read_manifest(root), range(9))
    logit_M = out_of_fold(scaled_features(design.x_MF, design.n_genes), design.is_case_M, design.fold_M)
    pd.DataFrame(
        {
            "sample_index": design.sample_M,
            "fold": design.fold_M.astype(np.int32),
            "logit": logit_M,
            "gene_logit": logit_M,
        }
    ).to_parquet(run / OUT_OF_FOLD_NAME, index=False)


CohortMaker = Callable[..., Cohort]
