"""The sealed test fold, read once: how well the network, and simpler models beside it, find the cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
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
from train.adjustment import component_columns
from train.bundle import Bundle, check_dataset, load_bundle
from train.config import TrainConfig
from train.data import RowGroupReader, open_reader, prefetch, scoring_rows
from train.design import Design, read_design
from train.direct import OUT_OF_FOLD_NAME
from train.metrics import Values
from train.order import list_row_groups
from train.people import UNKNOWN, People, permute_labels, read_people, require_both_classes
from train.readings import complete_reading, new_reading, record_reading
from train.rivals.penalised import PenalisedRival, fit_covariates, ridge_and_lasso_paths
from train.run_folder import BUNDLE_NAME, PACKAGES, training_digest
from train.scaling import Densifier, make_batch
from train.summary import OUT_OF_FOLD, VALIDATION, Judged, Reference, summarise
from train.unseen import network_scores

METRICS_NAME = "metrics.json"
PREDICTIONS_NAME = "predictions.parquet"


def evaluate(run: Path, *, again: bool = False, settings: TrainConfig | None = None) -> dict[str, Any]:
    """Score the test fold of a finished run and write metrics.json and predictions.parquet beside its bundle.

    Parameters
    ----------
    run
        The run's folder.
    again
        Read the test fold once more although it has been read; every reading is recorded beside the dataset.
    settings
        The run's configuration with, perhaps, another `evaluation` section; null: as it was trained.

    Raises
    ------
    InputError
        If there is no bundle, the settings or the dataset are not those trained with, a file of the dataset
        has another checksum than in its manifest, or the dataset's test fold was read before, by any run. See
        `read_reference`.
    """
    bundle = load_bundle(run / BUNDLE_NAME)
    config = settings or TrainConfig.model_validate(bundle.facts.config)
    root = config.data.dataset
    manifest = read_manifest(root)
    _check_trained(run, bundle, config, manifest)
    reference = read_reference(run, bundle, manifest, config)
    reading = new_reading(bundle.facts.manifest_digest, run, run / BUNDLE_NAME, config.model.kind)
    *earlier, reading = record_reading(root, reading, run, again=again)
    judged, chosen = judge(bundle, manifest, config)
    metrics = summarise(replace(judged, reference=reference), config)
    readings = [*earlier, complete_reading(root, reading, run, metrics["auroc"]["estimate"])]
    metrics |= {
        "regression_penalties": chosen,
        "permuted_labels": bundle.facts.permuted_labels or status_was_permuted(manifest),
        "test_fold": manifest.test_fold,
        "test_fold_reads": [each.time for each in readings],
        "readings": [each.model_dump(mode="json") for each in readings],
        "best_epoch": bundle.facts.best_epoch,
        "seed": config.seed,
        "bootstrap_draws": config.evaluation.bootstrap_draws,
        "threshold": config.evaluation.threshold,
        "prevalence": config.evaluation.prevalence,
        "manifest_digest": bundle.facts.manifest_digest,
        "versions": software_versions(PACKAGES),
    }
    _write_predictions(run / PREDICTIONS_NAME, judged, manifest, root)
    _write_metrics(run, metrics)
    return metrics


def _check_trained(run: Path, bundle: Bundle, config: TrainConfig, manifest: Manifest) -> None:
    """All that can be wrong is told before the sealed fold is read: a reading can't be taken back."""
    root, sealed = config.data.dataset, manifest.fold(bundle.facts.test_fold)
    if training_digest(config) != training_digest(TrainConfig.model_validate(bundle.facts.config)):
        wanted = "the one the run was trained with"
        raise InputError(fault(run, "config.yaml", found="another configuration", wanted=wanted))
    check_dataset(bundle, manifest, read_genes(root, manifest), root)
    if digest(manifest) != bundle.facts.manifest_digest:
        wanted = "the one that was trained on"
        raise InputError(fault(root, "manifest.json", found="another dataset", wanted=wanted))
    if not sealed.n_cases or not sealed.n_controls:
        found = f"{sealed.n_cases} cases and {sealed.n_controls} controls in the test fold"
        raise InputError(fault(root, "is_case", found=found, wanted="both"))
    verify(root, manifest)


def _write_metrics(run: Path, metrics: dict[str, Any]) -> None:
    for path in (run / METRICS_NAME, run / BUNDLE_NAME / METRICS_NAME):
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(metrics, indent=1, allow_nan=False))
        partial.replace(path)


def status_was_permuted(manifest: Manifest) -> bool:
    """Whether the dataset is a null one, its labels shuffled before quality control."""
    samples = manifest.config.get("samples") or {}
    return samples.get("permute_status") is not None


def judge(bundle: Bundle, manifest: Manifest, config: TrainConfig) -> tuple[Judged, dict[str, str]]:
    """Probabilities of the test people by the network and by logistic regressions fitted beside it.

    Returns them with the penalty that inner folds chose for each regression.
    """
    facts, root = bundle.facts, config.data.dataset
    people = read_people(root, manifest, [facts.test_fold], covariates=config.data.covariates)
    require_both_classes(people, [facts.test_fold], "the test fold")
    data = config.data.model_copy(update={"permute_labels": facts.permuted_labels})
    fitted = read_design(data, manifest, (*facts.training_folds, *facts.validation_folds), seed=config.seed)
    sealed = read_design(data, manifest, [facts.test_fold], seed=config.seed)
    network = score_folds(
        bundle, manifest, open_reader(root, manifest, config.data), people, [facts.test_fold]
    ).set_index("sample_index")["score"]
    beside, penalties = rivals(fitted, sealed, config.seed, covariates=bool(facts.covariates))
    judged = Judged(
        is_case_M=sealed.is_case_M,
        sample_M=sealed.sample_M,
        family_M=sealed.family_M,
        probabilities={"cnn": network.loc[sealed.sample_M].to_numpy(), **beside},
        components_MK=read_components(root, manifest, sealed.sample_M, [facts.test_fold]),
        components=tuple(manifest.covariates[at] for at in component_columns(manifest.covariates)),
    )
    return judged, penalties


def rivals(
    fitted: Design, sealed: Design, seed: int, *, covariates: bool
) -> tuple[dict[str, Values], dict[str, str]]:
    """Probabilities of the sealed people by the models beside the network, and the penalty of each.

    They see the same people as the network: everybody in `fitted`. Penalties are chosen on inner folds.
    """
    fits = {"logistic": PenalisedRival(ridge_and_lasso_paths).fit(fitted, seed)}
    if covariates:
        fits["covariates"] = fit_covariates(fitted)
    probabilities = {name: np.asarray(expit(fit.logit(sealed))) for name, fit in fits.items()}
    return probabilities, {name: fit.tuned or "none" for name, fit in fits.items()}


def read_reference(run: Path, bundle: Bundle, manifest: Manifest, config: TrainConfig) -> Reference | None:
    """Calibrated scores of people outside the sealed fold whom the network does not know.

    Everybody, by fits without their fold, or the validation people where convolutions stay: see
    `train.unseen`. None where the fit left nothing, or nobody of both classes.

    Raises
    ------
    InputError
        If out_of_fold.parquet lacks a column, holds people who are not of the folds fitted on, or a logit
        that is not finite.
    """
    path = run / OUT_OF_FOLD_NAME
    if not path.exists():
        return None
    frame, unseen = network_scores(pd.read_parquet(path))
    missing = sorted({"sample_index", "logit"} - set(frame))
    if missing:
        raise InputError(fault(path, "columns", found=f"no {', '.join(missing)}", wanted="those of the fit"))
    facts, root = bundle.facts, config.data.dataset
    folds = (*facts.training_folds, *facts.validation_folds)
    people = read_people(root, manifest, folds, covariates=False)
    if facts.permuted_labels:
        people = permute_labels(people, config.seed)
    sample_M = frame["sample_index"].to_numpy()
    if not np.isin(sample_M, people.sample_M).all():
        raise InputError(
            fault(path, "sample_index", found="people of other folds", wanted="the folds fitted on")
        )
    logit_M = frame["logit"].to_numpy(np.float64)
    if not np.isfinite(logit_M).all():
        raise InputError(fault(path, "logit", found="a number that is not finite", wanted="log odds"))
    is_case_M = people.is_case_M[people.rows(sample_M)]
    known = is_case_M != UNKNOWN
    if len(np.unique(is_case_M[known])) < 2:
        return None
    components_MK = read_components(root, manifest, sample_M[known], folds)
    who = {"out_of_fold": OUT_OF_FOLD, "validation": VALIDATION}[unseen]
    return Reference(is_case_M[known], bundle.calibration.logits(logit_M[known]), components_MK, who)


def read_components(
    root: str, manifest: Manifest, sample_M: NDArray[np.integer[Any]], folds: Sequence[int]
) -> Values:
    """Ancestry components of people of some folds, whether the model sees them or not."""
    people = read_people(root, manifest, folds, covariates=True)
    columns = component_columns(manifest.covariates)
    return people.covariates_MP[people.rows(sample_M)][:, columns].astype(np.float64)


def score_folds(
    bundle: Bundle, manifest: Manifest, reader: RowGroupReader, people: People, folds: Sequence[int]
) -> pd.DataFrame:
    """Calibrated probability of being a case for everyone of some folds.

    Columns sample_index (ascending), logit (as the network gives it) and score.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, densify = bundle.model().to(device), Densifier(bundle.scaler, len(bundle.facts.channels), device)
    rows = scoring_rows(reader, list_row_groups(manifest, folds), batch_size=64)
    samples, logits = [np.empty(0, np.int64)], [np.empty(0)]
    with torch.no_grad():
        for batch in prefetch((make_batch(part, people, bundle.scaler) for part in rows), 4):
            on_device = batch.to(device)
            logit_B = model(densify(on_device), on_device.covariates_BP)
            samples.append(batch.sample_B.numpy())
            logits.append(logit_B.double().cpu().numpy())
    logit_M = np.concatenate(logits)
    frame = pd.DataFrame(
        {
            "sample_index": np.concatenate(samples),
            "logit": logit_M,
            "score": bundle.calibration.probabilities(logit_M),
        }
    )
    return frame.sort_values("sample_index", ignore_index=True)


def _write_predictions(path: Path, judged: Judged, manifest: Manifest, root: str) -> None:
    ids = read_samples(root, manifest, [manifest.test_fold], ["sample_index", "sample_id"])
    frame = pd.DataFrame(
        {"sample_index": judged.sample_M, "is_case": judged.is_case_M, **judged.probabilities}
    )
    partial = path.with_suffix(".partial")
    ids.merge(frame, on="sample_index", validate="one_to_one").to_parquet(partial, index=False)
    partial.replace(path)
