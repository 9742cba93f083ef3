"""Checks that compare files: relatives, folds, digests, scaling, null runs, readings."""

from __future__ import annotations

import re

import numpy as np

from contract.dataset import verify
from contract.errors import InputError
from contract.manifest import Manifest
from train.audit.evidence import Evidence, gather
from train.audit.rules import Finding, not_possible, z_limit
from train.evaluate import status_was_permuted
from train.people import read_people
from train.scaling import Scaler, fit_scaler

MIN_KINSHIP = 0.0884
"""Second degree begins here (Manichaikul et al. 2010, Bioinformatics 26:2867)."""
SEEN_OF_EVERYBODY = (
    "people's metrics, sex, contamination",
    "markers and kinship",
    "folds",
    "variants without carriers",
)
"""Entries of the manifest's `fitted_on` that look at everybody: without labels, or to balance the folds."""
TOLERANCE = 1e-3
"""Relative difference of scaling that single precision may make."""


def relatives_across_folds(evidence: Evidence) -> Finding:
    """Pairs of second degree or closer on two sides of a fold's border, and families likewise."""
    wanted = f"no family, and no pair with kinship of at least {MIN_KINSHIP}, in two folds"
    placed = evidence.placed
    split = int((placed.groupby("family")["fold"].nunique() > 1).sum())
    numbers = {"families_in_two_folds": split}
    if evidence.kinship is None:
        if split:
            return _split(f"{split} families in two folds", wanted, numbers)
        return not_possible(
            f"no family in two folds of {placed['family'].nunique()} families, and no kinship.parquet",
            wanted,
            "run the ETL with kinship: estimate, so that the dataset holds its relatives",
        )
    close = evidence.kinship[evidence.kinship["kinship"] >= MIN_KINSHIP]
    folds = np.stack([placed["fold"].loc[close[f"sample_index_{end}"]].to_numpy() for end in (1, 2)])
    apart = folds[0] != folds[1]
    sealed = int((apart & (folds == evidence.manifest.test_fold).any(axis=0)).sum())
    numbers |= {"pairs": len(close), "pairs_in_two_folds": int(apart.sum()), "pairs_across_the_seal": sealed}
    if split or apart.any():
        found = (
            f"{int(apart.sum())} of {len(close)} pairs of relatives in two folds, {sealed} of them across "
            f"the seal, and {split} families"
        )
        return _split(found, wanted, numbers)
    found = f"{len(close)} pairs of relatives and {placed['family'].nunique()} families, each in one fold"
    return Finding("passed", found, wanted, "nobody is judged by a relative's status", numbers=numbers)


def _split(found: str, wanted: str, numbers: dict[str, int]) -> Finding:
    return Finding(
        "failed",
        found,
        wanted,
        "the model may know people by their relatives: scores are too good",
        "make the folds anew by the ETL, with kinship: estimate, and train again",
        dict(numbers),
    )


def fitted_on_whom(evidence: Evidence) -> Finding:
    """That whatever used labels or was fitted saw people outside the seal, by the manifest and the bundle."""
    facts, manifest = evidence.bundle.facts, evidence.manifest
    wanted = "the same digests and sealed fold in bundle and manifest; fits on people outside the seal alone"
    faults = []
    if facts.test_fold != manifest.test_fold:
        faults.append(f"the bundle seals fold {facts.test_fold}, the manifest {manifest.test_fold}")
    used = {*facts.training_folds, *facts.validation_folds}
    if manifest.test_fold in used:
        faults.append(f"the sealed fold {manifest.test_fold} is among the folds that were trained on")
    if both := set(facts.training_folds) & set(facts.validation_folds):
        faults.append(f"folds {sorted(both)} both train and validate")
    try:
        verify(evidence.root, manifest)
    except InputError as error:
        faults += error.faults
    faults += [
        f"'{what}' saw '{seen}'" for what, seen in manifest.fitted_on.items() if not _outside(what, seen)
    ]
    if faults:
        return Finding(
            "failed",
            "; ".join(faults),
            wanted,
            "people of the sealed fold shaped what they are judged by",
            "mend the step that is named, and make dataset and run anew",
            {"faults": len(faults)},
        )
    told = f"{len(manifest.fitted_on)} statements of the manifest" if manifest.fitted_on else "none"
    found = f"digests agree; what was fitted on whom: {told}"
    return Finding("passed", found, wanted, "the sealed fold shaped nothing", numbers={"faults": 0})


def _outside(what: str, seen: str) -> bool:
    if what in SEEN_OF_EVERYBODY:
        return True
    return bool(re.search(r"outside the (test|sealed) fold|outside the seal|without labels", seen))


def scaling(evidence: Evidence) -> Finding:
    """That the bundle's scaling is that of its training folds, computed anew from the dataset's sums."""
    wanted = "means and deviations of the training folds alone, as computed anew"
    bundle, kind = evidence.bundle, evidence.config.data.scaling
    folds = bundle.facts.training_folds
    own = _distance(bundle.scaler, _scaler(evidence, folds, kind))
    numbers = {"largest_difference": own}
    if own <= TOLERANCE:
        found = f"the scaling of folds {folds}, with a largest relative difference of {own:.1e}"
        return Finding("passed", found, wanted, "no other person shaped the scale", numbers=numbers)
    everybody = [fold.index for fold in evidence.manifest.folds]
    whose = {
        "everybody, the sealed people included": everybody,
        "everybody outside the seal": evidence.open_folds,
    }
    match = [
        who
        for who, them in whose.items()
        if _distance(bundle.scaler, _scaler(evidence, them, kind)) <= own / 10
    ]
    found = f"another scaling than that of folds {folds} (difference {own:.2g})" + (
        f": it is that of {match[0]}" if match else ""
    )
    means = "people who are judged shaped the scale that they are judged on"
    return Finding("failed", found, wanted, means, "fit again; `python -m train fit` scales so", numbers)


def _scaler(evidence: Evidence, folds: list[int], kind: str) -> Scaler:
    people = read_people(
        evidence.root, evidence.manifest, folds, covariates=bool(evidence.bundle.facts.covariates)
    )
    return fit_scaler(evidence.stats, evidence.manifest, people, folds, kind)  # type: ignore[arg-type]


def _distance(found: Scaler, wanted: Scaler) -> float:
    """Largest difference of any number of two scalings, relative to the larger of it and the median size."""
    worst = 0.0
    for name, one in vars(found).items():
        other = getattr(wanted, name)
        if not isinstance(one, np.ndarray) or not one.size:
            continue
        if one.shape != other.shape:
            return float("inf")
        size = np.maximum(np.abs(other), np.median(np.abs(other)) + 1e-12)
        worst = max(worst, float(np.max(np.abs(one.astype(float) - other) / size)))
    return worst


def status_permuted(evidence: Evidence) -> Finding:
    """That a run on status that was permuted before the ETL finds nothing."""
    wanted = "0.5 within what chance gives, after status was shuffled before quality control"
    if status_was_permuted(evidence.manifest):
        null = evidence
    elif evidence.null_run is None:
        command = (
            "python -m etl run CONF samples.permute_status=1 out=NULL; python -m train fit CONF "
            "data.dataset=NULL/dataset run.out=NULL/run; then this audit with --null-run NULL/run"
        )
        return not_possible("no null run is named", wanted, command)
    else:
        null = gather(evidence.null_run)
        if fault := _no_null_of(null.manifest, evidence.manifest):
            return not_possible(fault, wanted, "name a run whose ETL had samples.permute_status set")
    if null.judged is None:
        return not_possible("the null run has no scores", wanted, "evaluate it")
    measure = null.judged.auroc()
    numbers = {"auroc": measure.numbers()}
    if measure.deviate() > z_limit():
        return Finding(
            "failed",
            f"AUROC {measure} with status that means nothing",
            wanted,
            "a step lets people be known by their status",
            "look for it in the steps of the ETL that the manifest's fitted_on lists",
            numbers,
        )
    return Finding("passed", f"AUROC {measure}", wanted, "no step hands over the status", numbers=numbers)


def _no_null_of(null: Manifest, manifest: Manifest) -> str:
    if not status_was_permuted(null):
        return "the run that is named as null run has the true status"
    if [channel.name for channel in null.channels] != [channel.name for channel in manifest.channels]:
        return "the null run has other channels"
    return ""


def readings(evidence: Evidence) -> Finding:
    """How often the sealed fold was read, and whether another model had been judged on it before this one."""
    wanted = "no other model was judged on the sealed fold before this one"
    known = evidence.readings
    numbers = {"readings": len(known), "models": len({each.bundle_digest for each in known})}
    if not known:
        return Finding("passed", "not read yet", wanted, "the sealed fold is unspent", numbers=numbers)
    told = f"{len(known)} reading(s) by {numbers['models']} model(s)"
    if known[0].bundle_digest in (evidence.bundle_digest, None):
        return Finding("passed", told, wanted, "the sealed fold chose no model", numbers=numbers)
    if all(each.bundle_digest != evidence.bundle_digest for each in known):
        means = "the sealed fold was read for other models: it judges this one no more without bias"
        return Finding("passed", f"{told}, none by this model", wanted, means, numbers=numbers)
    means = "whoever chose this model may have known how earlier ones did on the sealed fold"
    advice = "report every reading, or judge by out-of-fold scores or a new cohort"
    return Finding("failed", f"{told}, the first at {known[0].time}", wanted, means, advice, numbers)
