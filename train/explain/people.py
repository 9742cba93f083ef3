"""Attributions of single people: individual-level data, written only where asked for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from train.explain.attribution import Attributions

PEOPLE_NAME = "attributions_people.parquet"
PEOPLE_SCHEMA = pa.schema(
    [
        pa.field("sample_index", pa.int32(), nullable=False),
        pa.field("fold", pa.int32(), nullable=False),
        pa.field("logit", pa.float64(), nullable=False),
        pa.field("baseline_logit", pa.float64(), nullable=False),
        pa.field("indices", pa.list_(pa.int32()), nullable=False),
        pa.field("attributions", pa.list_(pa.float32()), nullable=False),
        pa.field("not_carried", pa.float64(), nullable=False),
        pa.field("covariates", pa.list_(pa.float32()), nullable=False),
    ]
)
"""One row per person. `indices` are the flat indices (channel × n_genes + gene) of features that are not 0,
and `attributions` theirs; `not_carried` is the sum over all other features; `covariates` are in the bundle's
order. They add up to logit - baseline_logit."""


class PeopleWriter:
    """Collects rows of people and writes them, readable by their owner alone."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []

    def add(
        self,
        found: Attributions,
        x_BF: csr_matrix,
        sample_B: NDArray[np.int32],
        fold_B: NDArray[np.int32],
    ) -> None:
        """Add a batch; `x_BF` holds the features as they are stored."""
        flat_BF = found.feature_BCG.flatten(1).cpu().numpy()
        row_N = np.repeat(np.arange(len(sample_B)), np.diff(x_BF.indptr))
        carried_N = flat_BF[row_N, x_BF.indices]
        offsets = pa.array(x_BF.indptr.astype(np.int32))
        carried_B = np.bincount(row_N, carried_N.astype(np.float64), len(sample_B))
        columns = [
            pa.array(sample_B, pa.int32()),
            pa.array(fold_B, pa.int32()),
            pa.array(found.logit_B.cpu().numpy()),
            pa.array(np.full(len(sample_B), found.baseline)),
            pa.ListArray.from_arrays(offsets, pa.array(x_BF.indices.astype(np.int32))),
            pa.ListArray.from_arrays(offsets, pa.array(carried_N.astype(np.float32))),
            pa.array(flat_BF.astype(np.float64).sum(axis=1) - carried_B),
            pa.array(found.covariate_BP.cpu().numpy().tolist(), pa.list_(pa.float32())),
        ]
        self._tables.append(pa.table(columns, schema=PEOPLE_SCHEMA))

    def write(self, path: Path) -> None:
        """Write what was added, under a temporary name first."""
        partial = path.with_suffix(".partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            pq.write_table(pa.concat_tables(self._tables), stream, compression="zstd")
        partial.replace(path)
