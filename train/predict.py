"""A bundle applied to a new cohort, or refused with the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from contract.config import digest
from contract.dataset import read_genes, read_samples, verify
from contract.errors import InputError, fault
from contract.manifest import Manifest, read_manifest
from contract.storage import exists, write_whole
from train.abstain import abstain_reasons
from train.bundle import BundleFacts, check_dataset, load_bundle
from train.config import DataConfig
from train.data import open_reader
from train.evaluate import score_folds
from train.people import read_people
from train.reference import read_reference_of

COLUMNS = ("sample_id", "score", "probability", "abstain", "abstain_reasons", "seen_in_training")


def predict(bundle_folder: Path, root: str, out: str | Path) -> pd.DataFrame:
    """Write the score, and the probability of being a case, of everyone in a dataset.

    Columns sample_id; score, the network's log odds; probability, the calibrated one, of a person drawn from
    as many cases and controls as the model was trained on; abstain and abstain_reasons, see
    `train.abstain`; and seen_in_training: whether the person is of the folds that the model was fitted on or
    stopped by, where the dataset is the one trained on. A bundle names no people, so that in another dataset
    nobody can be recognised. People of the sealed fold are left out where the dataset is the one trained on:
    `train.evaluate` alone reads that fold, and records it.

    Parameters
    ----------
    bundle_folder
        A bundle that `fit` has left.
    root
        A dataset with the bundle's reference genome, channels, covariates and genes in their order.
    out
        A Parquet file that does not exist yet, or its URL.

    Raises
    ------
    InputError
        If the dataset differs from what the model expects, the model needs covariates that carry over to
        no other cohort and this is neither the dataset that it was trained on nor one made like it, a file of
        the dataset has another checksum than in its manifest, or `out` exists.
    """
    with _refused(out):
        taken = exists(str(out))
    if taken:
        raise InputError(fault(out, "output", found="a file", wanted="a name that is free"))
    bundle = load_bundle(bundle_folder)
    manifest = read_manifest(root)
    check_dataset(bundle, manifest, read_genes(root, manifest), root)
    _check_cohort(bundle.facts, manifest, root)
    verify(root, manifest)
    own = digest(manifest) == bundle.facts.manifest_digest
    folds = [fold.index for fold in manifest.folds if not (own and fold.index == bundle.facts.test_fold)]
    people = read_people(root, manifest, folds, covariates=bool(bundle.facts.covariates))
    reader = open_reader(root, manifest, DataConfig(dataset=root, reader="arrow"))
    scores = score_folds(bundle, manifest, reader, people, folds)
    ids = read_samples(root, manifest, folds, ["sample_index", "sample_id"])
    used = [*bundle.facts.training_folds, *bundle.facts.validation_folds] if own else []
    seen = pd.Series(np.isin(people.fold_M, used), index=people.sample_M)
    predictions = ids.merge(scores, on="sample_index", validate="one_to_one")
    predictions["seen_in_training"] = seen.loc[predictions["sample_index"]].to_numpy()
    reference = read_reference_of(bundle_folder, bundle.facts)
    judged = abstain_reasons(
        reference, root, manifest, folds, own_components=own or _is_like(bundle.facts, manifest)
    )
    predictions = predictions.merge(judged, on="sample_index", validate="one_to_one")
    predictions = predictions.rename(columns={"score": "probability", "logit": "score"})[[*COLUMNS]]
    with _refused(out):
        write_whole(str(out), predictions.to_parquet(index=False))
    return predictions


@contextmanager
def _refused(out: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        wanted = "a place that can be written to"
        raise InputError(fault(out, "output", found=f"'{error.strerror}'", wanted=wanted)) from None


def _is_like(facts: BundleFacts, manifest: Manifest) -> bool:
    """Whether a dataset was made by the definitions of the one that the model was trained on."""
    return manifest.like is not None and manifest.like == facts.reference_digest


def _check_cohort(facts: BundleFacts, manifest: Manifest, root: str) -> None:
    if _is_like(facts, manifest):
        return
    if facts.cohort_covariates and digest(manifest) != facts.manifest_digest:
        own = ", ".join(facts.cohort_covariates)
        raise InputError(
            fault(
                root,
                "covariates",
                found=f"another cohort, with its own {own}",
                wanted="the dataset trained on, one made like it (like: BUNDLE in the ETL), or a model "
                "without them: data.covariates=false in fit, or covariates: [is_female] in the ETL",
            )
        )
