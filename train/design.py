"""People of some folds in memory: what rivals of the network are fitted on, and what audits look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from contract.dataset import read_genes, read_samples
from contract.manifest import Manifest
from train.config import DataConfig
from train.data import open_reader, scoring_rows
from train.order import list_row_groups
from train.people import UNKNOWN, permute_labels, read_people
from train.sparse import join_rows

GROUPS = ("sex", "batch", "ancestry")


@dataclass(frozen=True)
class Design:
    """M people with a known label, ascending by sample_index, and their features as they are stored.

    Attributes
    ----------
    sample_M, fold_M, is_case_M, family_M
        sample_index, fold, 1 or 0, and the family, whose members share a fold.
    groups
        Columns sex, batch and ancestry, one row per person; 'unknown' where not given.
    covariates_MP
        As stored, not scaled; P = 0 where the configuration wants none.
    x_MF
        Sparse, flat index = channel × n_genes + gene, not scaled.
    covariates, channels
        Names of the axes P and C.
    genes
        The gene axis, columns of `contract.schema.GENE_SCHEMA` and any properties.
    """

    sample_M: NDArray[np.int32]
    fold_M: NDArray[np.int32]
    is_case_M: NDArray[np.int8]
    family_M: NDArray[np.int32]
    groups: pd.DataFrame
    covariates_MP: NDArray[np.float32]
    x_MF: csr_matrix
    covariates: tuple[str, ...]
    channels: tuple[str, ...]
    genes: pd.DataFrame

    def __len__(self) -> int:
        return len(self.sample_M)

    @property
    def n_genes(self) -> int:
        """Length of the gene axis."""
        return len(self.genes)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Design:
        """The people at these positions, or where a mask says so."""
        return Design(
            self.sample_M[rows],
            self.fold_M[rows],
            self.is_case_M[rows],
            self.family_M[rows],
            self.groups[rows] if rows.dtype == bool else self.groups.iloc[rows],
            self.covariates_MP[rows],
            self.x_MF[rows],
            self.covariates,
            self.channels,
            self.genes,
        )

    def channel_totals_MC(self) -> NDArray[np.float64]:
        """Sum over genes by person and channel."""
        step = self.n_genes
        parts = [self.x_MF[:, i * step : (i + 1) * step].sum(axis=1) for i in range(len(self.channels))]
        return np.asarray(np.hstack(parts), dtype=np.float64)


def read_design(config: DataConfig, manifest: Manifest, folds: Sequence[int], *, seed: int = 0) -> Design:
    """Read some folds; files of other folds are not opened, people without a label are left out.

    Parameters
    ----------
    config
        `dataset`, `reader`, `covariates` and `permute_labels` are looked at.
    manifest
        The dataset's.
    folds
        Folds wanted. Labels are permuted among exactly these, where the configuration says so.
    seed
        Of the permutation.
    """
    root = config.dataset
    people = read_people(root, manifest, folds, covariates=config.covariates)
    if config.permute_labels:
        people = permute_labels(people, seed)
    reader = open_reader(root, manifest, config.model_copy(update={"cache": "none"}))
    rows = join_rows(list(scoring_rows(reader, list_row_groups(manifest, folds), batch_size=1 << 30)))
    rows = rows.take(np.argsort(rows.sample_R))
    at = people.rows(rows.sample_R)
    known = np.flatnonzero(people.is_case_M[at] != UNKNOWN)
    at = at[known]
    x_MF = csr_matrix((rows.values_N, rows.indices_N, rows.offsets), shape=(len(rows), manifest.n_features))
    groups = read_samples(root, manifest, folds, ["sample_index", *GROUPS]).set_index("sample_index")
    return Design(
        sample_M=people.sample_M[at],
        fold_M=people.fold_M[at],
        is_case_M=people.is_case_M[at],
        family_M=people.family_M[at],
        groups=groups.loc[people.sample_M[at]].fillna("unknown"),
        covariates_MP=people.covariates_MP[at],
        x_MF=x_MF[known],
        covariates=tuple(manifest.covariates) if config.covariates else (),
        channels=tuple(channel.name for channel in manifest.channels),
        genes=read_genes(root, manifest),
    )
