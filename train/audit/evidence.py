"""What the audit looks at: a run, its dataset, the scores that are judged and the people they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.config import digest
from contract.dataset import read_genes, read_samples, read_stats
from contract.errors import InputError, fault
from contract.manifest import Channel, Manifest, read_manifest
from contract.people_tables import read_kinship, read_people_qc
from train.audit.auroc import Measure, Values, cross, stratified_auroc
from train.audit.fitting import COVARIATE_REACH, logit, out_of_fold, scaled_features, standardised
from train.bundle import Bundle, check_dataset, load_bundle
from train.config import DataConfig, TrainConfig
from train.design import Design, read_design
from train.direct import OUT_OF_FOLD_NAME
from train.evaluate import PREDICTIONS_NAME
from train.readings import Reading, bundle_digest, list_readings
from train.run_folder import BUNDLE_NAME
from train.unseen import network_scores

TECHNICAL = ("call_rate", "mean_dp", "mean_gq", "charr")
"""Metrics of people_qc.parquet that tell how well a person was called, not what the person carries."""


@dataclass(frozen=True)
class Judged:
    """People whose scores are judged: log odds with and, where known, without covariates."""

    people: str
    """`out_of_fold`, `validation` (see `train.unseen`) or `sealed`."""
    design: Design
    score_M: Values
    gene_score_M: Values | None

    @property
    def genetic_M(self) -> Values:
        """What the genes alone say where it is known, else the whole score."""
        return self.score_M if self.gene_score_M is None else self.gene_score_M

    def auroc(self, *strata: NDArray[Any]) -> Measure:
        """AUROC of the score among people of one fold, and of one stratum where strata are given."""
        stratum_M = cross(self.design.fold_M, *strata)
        found = stratified_auroc(self.design.is_case_M, self.score_M, stratum_M, self.design.family_M)
        return found.cross_validated() if self.people == "out_of_fold" else found


@dataclass
class Evidence:
    """Everything the checks share, read when it is first asked for.

    `open` people are those outside the sealed fold. Labels of sealed people are in `judged` alone, and only
    where the run was evaluated.
    """

    run: Path
    bundle: Bundle
    config: TrainConfig
    manifest: Manifest
    null_run: Path | None = None
    alone: dict[str, Values] = field(default_factory=dict)

    @property
    def root(self) -> str:
        """The dataset's folder or URL."""
        return self.config.data.dataset

    @property
    def open_folds(self) -> list[int]:
        """Folds outside the sealed one that hold people."""
        folds = self.manifest.folds
        return [fold.index for fold in folds if fold.index != self.manifest.test_fold and fold.n_samples]

    @cached_property
    def open(self) -> Design:
        """People outside the seal with a known label, covariates whatever the model had."""
        return read_design(self._data, self.manifest, self.open_folds, seed=self.config.seed)

    @cached_property
    def sealed(self) -> Design | None:
        """People of the sealed fold; for what needs no label. Null where the fold is empty."""
        fold = self.manifest.fold(self.manifest.test_fold)
        return read_design(self._data, self.manifest, [fold.index]) if fold.n_samples else None

    @cached_property
    def judged(self) -> Judged | None:
        """Of open people whom the network does not know, else of the evaluation; null before either."""
        if (self.run / OUT_OF_FOLD_NAME).exists():
            return _unseen(self.run / OUT_OF_FOLD_NAME, self.open)
        if (self.run / PREDICTIONS_NAME).exists() and self.sealed is not None:
            return self._predictions(self.sealed)
        return None

    @cached_property
    def placed(self) -> pd.DataFrame:
        """Fold and family of everybody, by sample_index; no label is read."""
        parts = [
            read_samples(self.root, self.manifest, [fold.index], ["sample_index", "family"]).assign(
                fold=fold.index
            )
            for fold in self.manifest.folds
        ]
        return pd.concat(parts).set_index("sample_index")

    @cached_property
    def kinship(self) -> pd.DataFrame | None:
        """Pairs of relatives, where the dataset holds them."""
        return read_kinship(self.root, self.manifest)

    @cached_property
    def people_qc(self) -> pd.DataFrame | None:
        """Quality metrics by sample_index, where the dataset holds them."""
        return read_people_qc(self.root, self.manifest)

    @cached_property
    def stats(self) -> pd.DataFrame:
        """Sums of features by fold."""
        return read_stats(self.root)

    @cached_property
    def readings(self) -> list[Reading]:
        """All readings of the dataset's sealed fold."""
        return list_readings(self.root, digest(self.manifest), self.run)

    @cached_property
    def bundle_digest(self) -> str:
        """Digest of the run's own bundle."""
        return bundle_digest(self.run / BUNDLE_NAME)

    def technical(self, design: Design) -> pd.DataFrame | None:
        """Metrics of calling of some people; null where the dataset holds none that varies."""
        if self.people_qc is None:
            return None
        metrics = self.people_qc.reindex(design.sample_M)
        kept = [name for name in TECHNICAL if name in metrics and metrics[name].nunique() > 1]
        return metrics[kept] if kept else None

    def batches(self, design: Design) -> Values:
        """One column for each batch of the open people."""
        names = sorted(set(self.open.groups["batch"]))
        batch_M = design.groups["batch"].to_numpy()
        return np.asarray([batch_M == name for name in names], np.float64).T

    def predict_alone(self, name: str, open_x: NDArray[Any]) -> Values:
        """Log odds of the open people, out of fold, by a logistic regression on some variables alone."""
        if name not in self.alone:
            x_MP = standardised(open_x) * COVARIATE_REACH
            self.alone[name] = out_of_fold(x_MP, self.open.is_case_M, self.open.fold_M)
        return self.alone[name]

    def predict_judged(self, name: str, open_x: NDArray[Any], judged_x: NDArray[Any] | None) -> Values:
        """The same for the judged people; `judged_x` is looked at where they are the sealed ones."""
        if self.judged is None or self.judged.people != "sealed" or judged_x is None:
            prediction_M = pd.Series(self.predict_alone(name, open_x), index=self.open.sample_M)
            people = self.open if self.judged is None else self.judged.design
            return np.asarray(prediction_M.loc[people.sample_M], np.float64)
        both = standardised(np.concatenate([open_x, judged_x])) * COVARIATE_REACH
        prediction: Values = logit(both[: len(open_x)], self.open.is_case_M, both[len(open_x) :])
        return prediction

    @cached_property
    def ridge(self) -> Values:
        """Log odds of the open people by a ridge on all features, out of fold."""
        x_MF = scaled_features(self.open.x_MF, self.open.n_genes)
        return out_of_fold(x_MF, self.open.is_case_M, self.open.fold_M)

    @property
    def _data(self) -> DataConfig:
        permuted = self.config.data.permute_labels
        return DataConfig(dataset=self.root, reader="arrow", permute_labels=permuted)

    def _predictions(self, sealed: Design) -> Judged:
        found = pd.read_parquet(self.run / PREDICTIONS_NAME)
        if "sample_index" not in found:
            ids = read_samples(
                self.root, self.manifest, [self.manifest.test_fold], ["sample_index", "sample_id"]
            )
            found = found.merge(ids, on="sample_id", validate="one_to_one")
        found = found.set_index("sample_index")
        known = sealed.take(np.isin(sealed.sample_M, found.index))
        found = found.loc[known.sample_M]
        probability_M = np.clip(found["cnn"].to_numpy(float), 1e-12, 1 - 1e-12)
        # A run on permuted labels was judged by permuted ones, and these are what the file holds.
        known = Design(**{**vars(known), "is_case_M": found["is_case"].to_numpy(np.int8)})
        return Judged("sealed", known, np.log(probability_M / (1 - probability_M)), None)


def gather(run: Path, null_run: Path | None = None) -> Evidence:
    """The evidence of a run that was fitted.

    Raises
    ------
    InputError
        If there is no bundle, or the dataset is not the one that was trained on.
    """
    bundle = load_bundle(run / BUNDLE_NAME)
    config = TrainConfig.model_validate(bundle.facts.config)
    manifest = read_manifest(config.data.dataset)
    check_dataset(bundle, manifest, read_genes(config.data.dataset, manifest), config.data.dataset)
    if digest(manifest) != bundle.facts.manifest_digest:
        wanted = "the one that was trained on"
        raise InputError(fault(config.data.dataset, "manifest.json", found="another dataset", wanted=wanted))
    return Evidence(run, bundle, config, manifest, null_run)


def synonymous_channels(channels: list[Channel]) -> list[int]:
    """Places of the channels that count nothing but alleles of synonymous variants."""
    return [place for place, channel in enumerate(channels) if _is_synonymous(channel)]


def _is_synonymous(channel: Channel) -> bool:
    if channel.counts_missing_calls:
        return False
    classes = channel.definition.get("classes")
    if classes:
        return all("synonymous" in str(name) for name in classes)
    return "synonymous" in channel.name


def _unseen(path: Path, design: Design) -> Judged:
    table, people = network_scores(pd.read_parquet(path))
    scores = table.set_index("sample_index")
    known = design.take(np.isin(design.sample_M, scores.index))
    scores = scores.loc[known.sample_M]
    genes = scores["gene_logit"].to_numpy(np.float64) if "gene_logit" in scores else None
    return Judged(people, known, scores["logit"].to_numpy(np.float64), genes)
