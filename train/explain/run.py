"""A finished run explained: genes.parquet and explanations.json in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from contract.config import digest
from contract.dataset import read_genes, verify
from contract.errors import InputError, fault
from contract.manifest import Manifest, read_manifest
from contract.provenance import software_versions
from train.bundle import Bundle, check_dataset, load_bundle
from train.config import TrainConfig
from train.design import Design, read_design
from train.explain.burden import burden_tests
from train.explain.config import ExplainConfig
from train.explain.describe import describe
from train.explain.network import explain_network
from train.explain.people import PEOPLE_NAME, PeopleWriter
from train.explain.ranking import Refits, run_refits
from train.explain.refits import Refit, refit_for
from train.explain.table import gene_table
from train.run_folder import BUNDLE_NAME, PACKAGES

GENES_NAME = "genes.parquet"
EXPLANATIONS_NAME = "explanations.json"
RefitMaker = Callable[[TrainConfig, Design], Refit | None]


def explain(
    run: Path, config: ExplainConfig | None = None, make_refit: RefitMaker = refit_for
) -> dict[str, Any]:
    """Explain a finished run on people outside the sealed fold; returns what explanations.json holds.

    Parameters
    ----------
    run
        The run's folder.
    config
        What to do; null: the defaults.
    make_refit
        Where refits over folds and seeds come from.

    Raises
    ------
    InputError
        If there is no bundle, the dataset is not the one trained on, a file of it differs from its checksum,
        a gene list does not serve, or refits are asked for that the model does not have.
    """
    config = config or ExplainConfig()
    bundle = load_bundle(run / BUNDLE_NAME)
    trained = TrainConfig.model_validate(bundle.facts.config)
    manifest = read_trained_dataset(bundle, trained)
    design = read_design(trained.data, manifest, open_folds(bundle), seed=trained.seed)
    refits = make_refits(bundle, design, trained, config, make_refit)
    writer = PeopleWriter() if config.people else None
    explained = explain_network(bundle, design, config, writer)
    burden = burden_tests(design, config.fewest_carriers)
    table = gene_table(bundle, explained.totals, burden, refits)
    found = describe(bundle, table, explained, refits, config) | {
        "people": {"explained": explained.totals.n_people, "outside_sealed_fold": len(design)},
        "permuted_labels": bundle.facts.permuted_labels,
        "seed": trained.seed,
        "manifest_digest": bundle.facts.manifest_digest,
        "versions": software_versions((*PACKAGES, "captum", "scipy")),
    }
    _write(run, table, found)
    if writer is not None:
        writer.write(run / PEOPLE_NAME)
    return found


def open_folds(bundle: Bundle) -> tuple[int, ...]:
    """Folds that the model was trained and chosen on, in the order in which it read them."""
    return (*bundle.facts.training_folds, *bundle.facts.validation_folds)


def read_trained_dataset(bundle: Bundle, trained: TrainConfig) -> Manifest:
    """The manifest of the dataset that a bundle was trained on; its sealed fold is not opened.

    Raises
    ------
    InputError
        If it is another dataset, or a file of the folds in use differs from its checksum.
    """
    root = trained.data.dataset
    manifest = read_manifest(root)
    check_dataset(bundle, manifest, read_genes(root, manifest), root)
    if digest(manifest) != bundle.facts.manifest_digest:
        raise InputError(
            fault(root, "manifest.json", found="another dataset", wanted="the one that was trained on")
        )
    used = [manifest.fold(fold) for fold in open_folds(bundle)]
    verify(root, manifest.model_copy(update={"folds": used}))
    return manifest


def make_refits(
    bundle: Bundle, design: Design, trained: TrainConfig, config: ExplainConfig, make_refit: RefitMaker
) -> Refits | None:
    """Refits over the folds and seeds asked for; null where none are.

    Raises
    ------
    InputError
        If a fold is not one that the model saw, or the model has no refit.
    """
    if not config.folds and not config.seeds:
        return None
    known = sorted(open_folds(bundle))
    folds = tuple(known) if config.folds in ("all", ()) else tuple(map(int, config.folds))
    seeds = config.seeds or (trained.seed,)
    unknown = [fold for fold in folds if fold not in known]
    if unknown:
        raise InputError(fault("command line", "--folds", found=unknown, wanted=f"some of {known}, or all"))
    refit = make_refit(trained, design)
    if refit is None:
        found = f"refits of a model of kind {trained.model.kind}"
        wanted = "a model with gene effects that are fitted apart, or none of the two options"
        raise InputError(fault("command line", "--folds, --seeds", found=found, wanted=wanted))
    return run_refits(refit, design, folds, seeds, bundle.scaler.mean_F)


def _write(run: Path, table: pd.DataFrame, found: dict[str, Any]) -> None:
    partial = (run / GENES_NAME).with_suffix(".partial")
    table.to_parquet(partial, index=False)
    partial.replace(run / GENES_NAME)
    partial = (run / EXPLANATIONS_NAME).with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1, allow_nan=False))
    partial.replace(run / EXPLANATIONS_NAME)
