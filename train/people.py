"""Labels, families and covariates of the people of some folds, by sample_index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from contract.dataset import read_samples
from contract.errors import InputError, fault
from contract.manifest import Manifest

UNKNOWN = -1

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class People:
    """M people; `position` finds them.

    `position` has the length of the whole dataset: sample_index -> row of the other arrays, -1 for people of
    other folds. `is_case_M` is 1, 0 or `UNKNOWN`.
    """

    position: NDArray[np.int64]
    sample_M: NDArray[np.int32]
    fold_M: NDArray[np.int32]
    is_case_M: NDArray[np.int8]
    family_M: NDArray[np.int32]
    covariates_MP: NDArray[np.float32]

    def rows(self, sample_B: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Rows of these people.

        Raises
        ------
        InputError
            If one of them is not of these folds: a part file that does not belong where it lies.
        """
        row_B = np.full(len(sample_B), -1, np.int64)
        inside_B = (sample_B >= 0) & (sample_B < len(self.position))
        row_B[inside_B] = self.position[sample_B[inside_B]]
        if (row_B < 0).any():
            found = f"{int((row_B < 0).sum())} people of other folds, or of none"
            raise InputError(
                fault("dataset", "sample_index", found=found, wanted=f"people of {self._named_folds}")
            )
        return row_B

    @property
    def _named_folds(self) -> str:
        return "folds " + ", ".join(map(str, np.unique(self.fold_M)))


def read_people(root: str, manifest: Manifest, folds: Sequence[int], *, covariates: bool) -> People:
    """Read the small columns of some folds; files of other folds are not opened.

    Parameters
    ----------
    root
        The dataset's folder or URL.
    manifest
        Its manifest.
    folds
        Folds wanted.
    covariates
        Whether to read covariates; else none (P = 0).

    Raises
    ------
    InputError
        If a person's covariates are not as many as the manifest names, or not finite, or a sample_index is
        outside the dataset or there twice.
    """
    columns = ["sample_index", "is_case", "family"] + (["covariates"] if covariates else [])
    parts = [read_samples(root, manifest, [fold], columns) for fold in folds]
    sample_M = _join([part["sample_index"].to_numpy() for part in parts], np.int32)
    is_case_M = _join([part["is_case"].fillna(UNKNOWN).to_numpy() for part in parts], np.int8)
    _check_indices(root, sample_M, manifest.n_samples)
    position = np.full(manifest.n_samples, -1, np.int64)
    position[sample_M] = np.arange(len(sample_M))
    n_covariates = len(manifest.covariates) if covariates else 0
    lists = [row for part in parts for row in part["covariates"]] if n_covariates else []
    if any(len(row) != n_covariates or not np.isfinite(row).all() for row in lists):
        raise InputError(
            fault(
                root,
                "covariates",
                found="a list of another length or not finite",
                wanted=f"{n_covariates} numbers",
            )
        )
    return People(
        position=position,
        sample_M=sample_M,
        fold_M=np.repeat(np.asarray(folds, np.int32), [len(part) for part in parts]),
        is_case_M=is_case_M,
        family_M=_join([part["family"].to_numpy() for part in parts], np.int32),
        covariates_MP=np.array(lists, np.float32).reshape(len(sample_M), n_covariates),
    )


def permute_labels(people: People, seed: int) -> People:
    """The same people with the known labels shuffled among them: what is left to learn is chance."""
    known = np.flatnonzero(people.is_case_M != UNKNOWN)
    shuffled = people.is_case_M.copy()
    shuffled[known] = people.is_case_M[np.random.default_rng([seed, 7]).permutation(known)]
    return replace(people, is_case_M=shuffled)


def require_both_classes(people: People, folds: Sequence[int], where: str) -> None:
    """Refuse folds without cases or without controls.

    Raises
    ------
    InputError
        With the counts found.
    """
    labels = people.is_case_M[np.isin(people.fold_M, folds)]
    cases, controls = int((labels == 1).sum()), int((labels == 0).sum())
    if not cases or not controls:
        found = f"{cases} cases and {controls} controls in {where} (folds {list(folds)})"
        raise InputError(fault("dataset", "is_case", found=found, wanted="both"))


def _check_indices(root: str, sample_M: NDArray[np.int32], n_samples: int) -> None:
    outside = int(((sample_M < 0) | (sample_M >= n_samples)).sum())
    twice = len(sample_M) - len(np.unique(sample_M))
    if outside or twice:
        found = f"{outside} outside the dataset" if outside else f"{twice} that are there twice"
        wanted = f"each of 0 to {n_samples - 1} in one fold"
        raise InputError(fault(root, "sample_index", found=found, wanted=wanted))


def _join(parts: list[NDArray[Any]], dtype: type[Scalar]) -> NDArray[Scalar]:
    joined: NDArray[Scalar] = np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)
    return joined
