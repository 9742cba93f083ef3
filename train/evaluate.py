"""The sealed test fold, read once: how well the network, and simpler models beside it, find the cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import expit

from contract.config import digest
from contract.dataset import read_genes, read_samples, verify
from contract.errors import InputError, fault
from contract.manifest import Manifest, read_manifest
from contract.provenance import software_versions
from train.bundle import Bundle, check_dataset, load_bundle
from train.config import TrainConfig
from train.data import RowGroupReader, open_reader, prefetch, scoring_rows
from train.design import read_design
from train.fit import BUNDLE_NAME, PACKAGES, READS_NAME, training_digest
from train.metrics import (
    Metric,
    Values,
    auroc,
    average_precision,
    family_draws,
    measure,
    standard_metrics,
)
from train.order import list_row_groups
from train.people import UNKNOWN, People, permute_labels, read_people, require_both_classes
from train.rivals.penalised import fit_covariates, fit_logistic_baseline
from train.rivals.protocol import LinearFit
from train.scaling import Densifier, make_batch

METRICS_NAME = "metrics.json"
PREDICTIONS_NAME = "predictions.parquet"


@dataclass(frozen=True)
class Judged:
    """People of the test fold with a known label, ascending by sample_index, and each model's probability."""

    is_case_M: NDArray[np.int8]
    sample_M: NDArray[np.int32]
    family_M: NDArray[np.int32]
    probabilities: dict[str, Values]


def evaluate(run: Path, *, again: bool = False, settings: TrainConfig | None = None) -> dict[str, Any]:
    """Score the test fold of a finished run and write metrics.json and predictions.parquet beside its bundle.

    Parameters
    ----------
    run
        The run's folder.
    again
        Read the test fold once more although it has been read; every reading is recorded.
    settings
        The run's configuration with, perhaps, another `evaluation` section; null: as it was trained.

    Raises
    ------
    InputError
        If there is no bundle, the settings or the dataset are not those trained with, a file of the dataset
        has another checksum than in its manifest, or the test fold was read before.
    """
    bundle = load_bundle(run / BUNDLE_NAME)
    trained = TrainConfig.model_validate(bundle.facts.config)
    config = settings or trained
    if training_digest(config) != training_digest(trained):
        raise InputError(
            fault(
                run, "config.yaml", found="another configuration", wanted="the one the run was trained with"
            )
        )
    root = config.data.dataset
    manifest = read_manifest(root)
    check_dataset(bundle, manifest, read_genes(root, manifest), root)
    if digest(manifest) != bundle.facts.manifest_digest:
        raise InputError(
            fault(root, "manifest.json", found="another dataset", wanted="the one that was trained on")
        )
    verify(root, manifest)
    reads = _record_reading(run, again)
    judged, chosen = judge(bundle, manifest, config)
    metrics = summarise(judged, config)
    metrics |= {
        "regression_penalties": chosen,
        "permuted_labels": bundle.facts.permuted_labels or status_was_permuted(manifest),
        "test_fold": manifest.test_fold,
        "test_fold_reads": reads,
        "best_epoch": bundle.facts.best_epoch,
        "seed": config.seed,
        "bootstrap_draws": config.evaluation.bootstrap_draws,
        "threshold": config.evaluation.threshold,
        "prevalence": config.evaluation.prevalence,
        "manifest_digest": bundle.facts.manifest_digest,
        "versions": software_versions(PACKAGES),
    }
    _write_predictions(run / PREDICTIONS_NAME, judged, manifest, root)
    for path in (run / METRICS_NAME, run / BUNDLE_NAME / METRICS_NAME):
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(metrics, indent=1))
        partial.replace(path)
    return metrics


def status_was_permuted(manifest: Manifest) -> bool:
    """Whether the dataset is a null one, its labels shuffled before quality control."""
    samples = manifest.config.get("samples") or {}
    return samples.get("permute_status") is not None


def judge(bundle: Bundle, manifest: Manifest, config: TrainConfig) -> tuple[Judged, dict[str, str]]:
    """Probabilities of the test people by the network and by logistic regressions fitted beside it.

    Returns them with the penalty that the validation people chose for each regression.
    """
    facts, root = bundle.facts, config.data.dataset
    sealed = read_people(root, manifest, [facts.test_fold], covariates=config.data.covariates)
    if facts.permuted_labels:
        sealed = permute_labels(sealed, config.seed)
    require_both_classes(sealed, [facts.test_fold], "the test fold")
    reader = open_reader(root, manifest, config.data)
    network = score_folds(bundle, manifest, reader, sealed, [facts.test_fold])
    known = sealed.is_case_M[sealed.rows(network["sample_index"].to_numpy())] != UNKNOWN
    network = network[known]
    at = sealed.rows(network["sample_index"].to_numpy())
    probabilities = {"cnn": network["score"].to_numpy()}
    penalties: dict[str, str] = {}
    test = read_design(config.data, manifest, [facts.test_fold], seed=config.seed)
    for name, baseline in _fit_baselines(bundle, manifest, config).items():
        probabilities[name] = expit(baseline.logit(test))
        penalties[name] = baseline.tuned or "none"
    judged = Judged(
        sealed.is_case_M[at], network["sample_index"].to_numpy(), sealed.family_M[at], probabilities
    )
    return judged, penalties


def score_folds(
    bundle: Bundle, manifest: Manifest, reader: RowGroupReader, people: People, folds: Sequence[int]
) -> pd.DataFrame:
    """Probability of being a case for every person of some folds: columns sample_index (ascending), score."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, densify = bundle.model().to(device), Densifier(bundle.scaler, len(bundle.facts.channels), device)
    rows = scoring_rows(reader, list_row_groups(manifest, folds), batch_size=64)
    samples, scores = [np.empty(0, np.int64)], [np.empty(0)]
    with torch.no_grad():
        for batch in prefetch((make_batch(part, people, bundle.scaler) for part in rows), 4):
            on_device = batch.to(device)
            logit_B = model(densify(on_device), on_device.covariates_BP)
            samples.append(batch.sample_B.numpy())
            scores.append(torch.sigmoid(logit_B.double()).cpu().numpy())
    frame = pd.DataFrame({"sample_index": np.concatenate(samples), "score": np.concatenate(scores)})
    return frame.sort_values("sample_index", ignore_index=True)


def summarise(judged: Judged, config: TrainConfig) -> dict[str, Any]:
    """All metrics of all models with intervals over the same family draws, and their differences in AUROC."""
    y_M = judged.is_case_M
    drawn = family_draws(y_M, judged.family_M, config.evaluation.bootstrap_draws, config.seed)
    found: dict[str, Any] = {
        "n_test": len(y_M),
        "n_cases": int(y_M.sum()),
        "n_controls": int((y_M == 0).sum()),
        "n_families": len(np.unique(judged.family_M)),
        "majority_share": float(max(y_M.mean(), 1 - y_M.mean())),
        "draws_used": len(drawn),
    }
    every: dict[str, Metric] = standard_metrics(config.evaluation)
    few: dict[str, Metric] = {"auroc": auroc, "average_precision": average_precision}
    measured = {
        name: measure(every if name == "cnn" else few, y_M, probability_M, drawn)
        for name, probability_M in judged.probabilities.items()
    }
    for name, metrics in measured.items():
        found[name] = {metric: asdict(value.interval()) for metric, value in metrics.items()}
    found |= found["cnn"]
    found["auroc_differences"] = {
        f"cnn - {name}": asdict((measured["cnn"]["auroc"] - metrics["auroc"]).interval())
        for name, metrics in measured.items()
        if name != "cnn"
    }
    return found


def _fit_baselines(bundle: Bundle, manifest: Manifest, config: TrainConfig) -> dict[str, LinearFit]:
    facts = bundle.facts
    folds = (*facts.training_folds, *facts.validation_folds)
    fitted = read_design(config.data, manifest, folds, seed=config.seed)
    training = fitted.take(np.isin(fitted.fold_M, facts.training_folds))
    validation = fitted.take(np.isin(fitted.fold_M, facts.validation_folds))
    baselines = {"logistic": fit_logistic_baseline(training, validation)}
    if facts.covariates:
        baselines["covariates"] = fit_covariates(training)
    return baselines


def _record_reading(run: Path, again: bool) -> list[str]:
    path = run / READS_NAME
    reads = json.loads(path.read_text()) if path.exists() else []
    if reads and not again:
        found = f"the test fold was read before, at {', '.join(reads)}"
        raise InputError(
            fault(path, "test fold", found=found, wanted="one reading, or --again to read once more")
        )
    reads.append(datetime.now(UTC).isoformat(timespec="seconds"))
    path.write_text(json.dumps(reads, indent=1))
    return list(reads)


def _write_predictions(path: Path, judged: Judged, manifest: Manifest, root: str) -> None:
    ids = read_samples(root, manifest, [manifest.test_fold], ["sample_index", "sample_id"])
    frame = pd.DataFrame(
        {"sample_index": judged.sample_M, "is_case": judged.is_case_M, **judged.probabilities}
    )
    partial = path.with_suffix(".partial")
    ids.merge(frame, on="sample_index", validate="one_to_one").to_parquet(partial, index=False)
    partial.replace(path)
