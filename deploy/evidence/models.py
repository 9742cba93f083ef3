"""Models fitted on the people of a cohort, and their scores of its judges."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.manifest import Manifest, read_manifest
from deploy.console import PYTHON, TIMEOUT_SECONDS
from deploy.evidence.cohorts import Truth
from deploy.evidence.people import JUDGES
from deploy.measure import run_measured
from train.audit.run import audit_run
from train.bundle import load_bundle
from train.config import DataConfig
from train.data import open_reader
from train.design import Design, read_design
from train.evaluate import score_folds
from train.people import read_people
from train.rivals.registry import RIVALS
from train.run_folder import BUNDLE_NAME

Values = NDArray[np.float64]

CONFIG = "conf/train/default.yaml"
NETWORKS: dict[str, tuple[str, ...]] = {
    "network": (),
    "network_shuffled_properties": ("model.effects.shuffle_properties=true",),
    "network_no_properties": ("model.effects.properties=false",),
    "network_shuffled_genes": ("model.shuffle_genes=true",),
    "network_no_convolution": ("model.convolution=false",),
}
"""Networks by name, with what they change in `CONFIG`; every other name is one of the rivals."""


@dataclass(frozen=True)
class Scored:
    """A fitted model: scores of the judges by sample_index, and what each gene counts where it tells.

    `verdict` is the leak audit's, of networks where it is asked for.
    """

    score_M: Values
    seconds: float
    peak_rss_mb: float | None = None
    ranking_G: Values | None = None
    note: str | None = None
    verdict: str | None = None


class NotPossibleError(Exception):
    """A model that cannot be fitted on this cohort; the text says why."""


def is_known(model: str) -> bool:
    """Whether there is a model of that name."""
    return model in NETWORKS or model in RIVALS


class Fitting:
    """A cohort that models are fitted on; its people are read once for all rivals."""

    def __init__(
        self, truth: Truth, work: Path, overrides: tuple[str, ...] = (), *, audited: bool = False
    ) -> None:
        self.truth, self._work, self._overrides, self._audited = truth, work, overrides, audited

    def fit(self, model: str, seed: int) -> Scored:
        """Fit a model by name and score the judges.

        Raises
        ------
        NotPossibleError
            If the model cannot be fitted on this cohort.
        """
        if model in NETWORKS:
            return self._network(NETWORKS[model], seed)
        return self._rival(model, seed)

    @cached_property
    def _manifest(self) -> Manifest:
        return read_manifest(self.truth.dataset)

    @cached_property
    def _people(self) -> Design:
        return self._read([fold.index for fold in self._manifest.folds if fold.index != JUDGES])

    @cached_property
    def _judges(self) -> Design:
        return self._read([JUDGES])

    def _read(self, folds: list[int]) -> Design:
        return read_design(DataConfig(dataset=self.truth.dataset, reader="arrow"), self._manifest, folds)

    def _network(self, overrides: tuple[str, ...], seed: int) -> Scored:
        run = self._work / "run"
        shutil.rmtree(run, ignore_errors=True)
        settings = [f"data.dataset={self.truth.dataset}", f"run.out={run}", f"seed={seed}"]
        given = [each.replace("{gene_sets}", str(self.truth.gene_sets)) for each in self._overrides]
        command = [PYTHON, "-m", "train", "fit", CONFIG, *settings, *given, *overrides]
        measured = run_measured(command, TIMEOUT_SECONDS)
        if measured.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with status {measured.returncode}")
        bundle = load_bundle(run / BUNDLE_NAME)
        people = read_people(
            self.truth.dataset, self._manifest, [JUDGES], covariates=bool(bundle.facts.covariates)
        )
        reader = open_reader(self.truth.dataset, self._manifest, DataConfig(dataset=self.truth.dataset))
        scores = score_folds(bundle, self._manifest, reader, people, [JUDGES])
        ranking_G = _network_ranking(run / BUNDLE_NAME / "genes.parquet")
        verdict = audit_run(run)["verdict"]["status"] if self._audited else None
        shutil.rmtree(run)
        score_M = scores["score"].to_numpy()
        return Scored(score_M, measured.seconds, measured.peak_rss_mb, ranking_G, verdict=verdict)

    def _rival(self, model: str, seed: int) -> Scored:
        rival = RIVALS[model]
        reason = rival.missing(self._people)
        if reason:
            raise NotPossibleError(reason)
        start = time.monotonic()
        fitted = rival.fit(self._people, seed)
        seconds = time.monotonic() - start
        ranking_G = _rival_ranking(fitted, self._people)
        return Scored(fitted.logit(self._judges), seconds, None, ranking_G, fitted.tuned)


def _network_ranking(path: Path) -> Values | None:
    """Posterior inclusion by gene, in the order of the gene axis; none where the network has none."""
    genes = pd.read_parquet(path)
    return genes["inclusion"].to_numpy(float) if "inclusion" in genes else None


def _rival_ranking(fitted: object, people: Design) -> Values | None:
    """Posterior inclusion where a rival has it, else the variance of the logit that each gene explains."""
    inclusion_G = getattr(fitted, "inclusion_G", None)
    if inclusion_G is not None:
        return np.asarray(inclusion_G, dtype=np.float64)
    coefficient_F = getattr(fitted, "coefficient_F", None)
    if coefficient_F is None:
        return None
    mean_F = np.asarray(people.x_MF.mean(axis=0)).ravel()
    variance_F = np.asarray(people.x_MF.power(2).mean(axis=0)).ravel() - mean_F**2
    return np.asarray((coefficient_F**2 * variance_F).reshape(-1, people.n_genes).sum(axis=0))
