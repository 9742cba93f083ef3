"""Who is tested: unrelated people outside the sealed fold whose status is known, and their features.

Axes: M people, P covariates, G genes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from contract.dataset import read_samples
from contract.manifest import Manifest
from contract.people_tables import read_kinship, read_people_qc
from etl.qc.unrelated import choose_unrelated


@dataclass(frozen=True)
class UnrelatedPeople:
    """M people in the order of the dataset's rows, ascending by fold.

    Attributes
    ----------
    sample_M
        sample_index.
    is_case_M
        1 or 0.
    covariates_MP
        As stored.
    n_relatives
        People left out because a relative is among the tested.
    """

    sample_M: NDArray[np.int32]
    is_case_M: NDArray[np.int8]
    covariates_MP: NDArray[np.float64]
    n_relatives: int

    @property
    def n_cases(self) -> int:
        """How many are cases."""
        return int(self.is_case_M.sum())

    @property
    def n_controls(self) -> int:
        """How many are controls."""
        return len(self.is_case_M) - self.n_cases


def unrelated_people(root: str, manifest: Manifest) -> UnrelatedPeople:
    """Choose them; files of the sealed fold are not opened.

    Of relatives (kinship of second degree or closer in the dataset's table; without one, declared families) a
    largest set stays that holds no two: a case before a control, then the better called.
    """
    people = read_samples(
        root, manifest, open_folds(manifest), ["sample_index", "is_case", "family", "covariates"]
    )
    people = people[people["is_case"].notna()].astype({"is_case": np.int8})
    metrics = read_people_qc(root, manifest)
    ranked = pd.DataFrame(
        {
            "sample_id": people["sample_index"],
            "is_case": people["is_case"],
            "call_rate": 1.0
            if metrics is None or "call_rate" not in metrics
            else people["sample_index"].map(metrics["call_rate"]),
        }
    )
    kept = people[
        people["sample_index"].isin(choose_unrelated(ranked, _relatives(root, manifest, people), 0))
    ]
    covariates_MP = np.array(kept["covariates"].tolist(), dtype=np.float64).reshape(
        len(kept), len(manifest.covariates)
    )
    return UnrelatedPeople(
        kept["sample_index"].to_numpy(np.int32),
        kept["is_case"].to_numpy(np.int8),
        covariates_MP,
        len(people) - len(kept),
    )


def open_folds(manifest: Manifest) -> list[int]:
    """All folds but the sealed one."""
    return [fold.index for fold in manifest.folds if fold.index != manifest.test_fold]


def read_channel(root: str, manifest: Manifest, channel: int, sample_M: NDArray[np.int32]) -> csr_matrix:
    """Features of one channel, M × G; a fold at a time, so that no other channel is ever held of all people.

    Parameters
    ----------
    root, manifest
        The dataset.
    channel
        Place of the channel.
    sample_M
        sample_index of people outside the sealed fold, from `unrelated_people`.
    """
    first = channel * manifest.n_genes
    row_of = pd.Series(np.arange(len(sample_M)), index=sample_M)
    rows, genes, values = ([np.empty(0, kind)] for kind in (np.int32, np.int32, np.float32))
    for fold in open_folds(manifest):
        people = read_samples(root, manifest, [fold], ["sample_index", "indices", "values"])
        people = people[people["sample_index"].isin(row_of.index)]
        if people.empty:
            continue
        index_N = np.concatenate(people["indices"].tolist())
        within_N = (index_N >= first) & (index_N < first + manifest.n_genes)
        own = row_of[people["sample_index"]].to_numpy(np.int32)
        rows.append(np.repeat(own, people["indices"].str.len())[within_N])
        genes.append((index_N[within_N] - first).astype(np.int32))
        values.append(np.concatenate(people["values"].tolist())[within_N])
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(genes)))
    return csr_matrix(entries, shape=(len(sample_M), manifest.n_genes))


def _relatives(root: str, manifest: Manifest, people: pd.DataFrame) -> pd.DataFrame:
    pairs = read_kinship(root, manifest)
    if pairs is not None:
        return pairs.rename(columns={"sample_index_1": "first", "sample_index_2": "second"})
    families = people.groupby("family")["sample_index"]
    found = [pair for _, members in families if len(members) > 1 for pair in combinations(members, 2)]
    return pd.DataFrame(found, columns=["first", "second"]).assign(kinship=1.0)
