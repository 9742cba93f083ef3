"""Everything needed to score a new cohort: weights, scaler, genes, channels, and where they came from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from contract.config import ConfigModel, build_config
from contract.errors import InputError, fault
from contract.manifest import Channel, Manifest
from train.calibration import NO_CALIBRATION, Calibration, load_calibration, save_calibration
from train.config import ModelConfig
from train.convolutions import InputShape
from train.ensemble import Network, build_model
from train.scaling import Scaler

FACTS_NAME = "bundle.json"
WEIGHTS_NAME = "weights.safetensors"
SCALER_NAME = "scaler.safetensors"
GENES_NAME = "genes.parquet"


class BundleFacts(ConfigModel):
    """What a model expects of a dataset, and how it was made."""

    format_version: Literal[2] = 2
    model: ModelConfig
    reference_genome: str
    channels: list[Channel]
    covariates: list[str] = Field(
        description="used by the model, in order; empty where it was told to use none"
    )
    cohort_covariates: list[str] = Field(description="those of them that mean nothing in another cohort")
    genes_digest: str
    training_folds: list[int]
    validation_folds: list[int]
    test_fold: int
    permuted_labels: bool
    best_epoch: int = Field(description="epoch (from 1) whose weights were kept; 0: before the first")
    validation_loss: float = Field(description="of the weights kept")
    direct_loss: float | None = Field(
        None, description="validation loss of gene effects and covariates alone; null: not such a model"
    )
    convolutions_gain: float = Field(
        0.0, description="how much lower the kept epoch's loss is; where none is kept, the last better one's"
    )
    convolutions_gain_deviation: float = Field(0.0, description="its standard error over people")
    effects: dict[str, Any] = Field(default_factory=dict, description="how the gene effects came about")
    config: dict[str, Any]
    manifest_digest: str
    reference_digest: str | None = Field(
        None, description="of the folder reference/, by which new people are described; null: none"
    )
    reference_url: str | None = Field(None, description="where that folder's tables are; null: in the bundle")
    versions: dict[str, str]


@dataclass(frozen=True)
class Bundle:
    """A trained model with its facts; `calibration` is applied to its logits."""

    facts: BundleFacts
    genes: pd.DataFrame
    scaler: Scaler
    weights: dict[str, Tensor]
    calibration: Calibration = NO_CALIBRATION

    def model(self) -> Network:
        """The network with its weights, ready to score."""
        shape = InputShape(len(self.facts.channels), len(self.facts.covariates), tuple(self.genes["contig"]))
        model = build_model(self.facts.model, shape)
        model.load_state_dict(self.weights)
        return model.eval()


def genes_digest(genes: pd.DataFrame) -> str:
    """Digest of the gene axis: ids and chromosomes, in order."""
    text = "\n".join(genes["gene_id"] + "\t" + genes["contig"])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_bundle(folder: Path, bundle: Bundle, add: Callable[[Path], None] = lambda partial: None) -> None:
    """Write a bundle; the folder appears whole. `add` writes what else belongs in it."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file({name: tensor.numpy() for name, tensor in bundle.weights.items()}, partial / WEIGHTS_NAME)
    save_file(dict(vars(bundle.scaler)), partial / SCALER_NAME)
    bundle.genes.to_parquet(partial / GENES_NAME, index=False)
    if bundle.calibration.n:
        save_calibration(partial, bundle.calibration)
    add(partial)
    (partial / FACTS_NAME).write_text(bundle.facts.model_dump_json(indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle; nothing in it is executed.

    Raises
    ------
    InputError
        If a file is absent, damaged or of another version, or if the files do not fit each other.
    """
    try:
        settings = json.loads((folder / FACTS_NAME).read_text())
        facts = build_config(BundleFacts, settings, str(folder / FACTS_NAME))
        weights = {name: torch.from_numpy(array) for name, array in load_file(folder / WEIGHTS_NAME).items()}
        scaler = Scaler(**load_file(folder / SCALER_NAME))
        genes = pd.read_parquet(folder / GENES_NAME)
    except FileNotFoundError as error:
        missing = Path(str(error.filename or folder)).name
        raise InputError(
            fault(folder, missing, found="no such file", wanted="the bundle of a finished fit")
        ) from None
    except (ValueError, TypeError, OSError, SafetensorError) as error:
        raise InputError(
            fault(folder, "bundle", found=f"damaged ({error})", wanted="a readable bundle")
        ) from None
    bundle = Bundle(facts, genes, scaler, weights, load_calibration(folder))
    _check_parts(folder, bundle)
    return bundle


def _check_parts(folder: Path, bundle: Bundle) -> None:
    """Files of a bundle may each be readable and yet come from different ones, or have been edited."""
    facts, scaler = bundle.facts, bundle.scaler
    found = ""
    if not {"gene_id", "contig"} <= set(bundle.genes) or genes_digest(bundle.genes) != facts.genes_digest:
        found = f"{GENES_NAME} with other genes than {FACTS_NAME} says"
    elif {len(scaler.mean_F), len(scaler.factor_F)} != {len(facts.channels) * len(bundle.genes)} or {
        len(scaler.covariate_mean_P),
        len(scaler.covariate_factor_P),
    } != {len(facts.covariates)}:
        found = f"{SCALER_NAME} of another size"
    elif not all(tensor.isfinite().all() for tensor in bundle.weights.values()):
        found = f"numbers that are not finite in {WEIGHTS_NAME}"
    else:
        try:
            bundle.model()
        except RuntimeError as error:
            found = f"{WEIGHTS_NAME} of another network ({' '.join(str(error).split())})"
    if found:
        raise InputError(fault(folder, "bundle", found=found, wanted="the files of one fit, as it left them"))


def check_dataset(bundle: Bundle, manifest: Manifest, genes: pd.DataFrame, root: str) -> None:
    """Refuse a dataset whose features are not those that the model was trained on.

    Raises
    ------
    InputError
        With one sentence for each difference: reference genome, channels, covariates, genes or their order.
    """
    facts, faults = bundle.facts, []
    if manifest.reference_genome != facts.reference_genome:
        faults.append(
            fault(root, "reference_genome", found=manifest.reference_genome, wanted=facts.reference_genome)
        )
    found, wanted = (
        [channel.name for channel in manifest.channels],
        [channel.name for channel in facts.channels],
    )
    if found != wanted:
        faults.append(fault(root, "channels", found=found, wanted=str(wanted)))
    else:
        faults += [
            fault(root, f"channel {mine.name}", found="another definition of the mask", wanted="the bundle's")
            for mine, theirs in zip(facts.channels, manifest.channels, strict=True)
            if mine.definition != theirs.definition
        ]
    if facts.covariates and manifest.covariates != facts.covariates:
        faults.append(fault(root, "covariates", found=manifest.covariates, wanted=str(facts.covariates)))
    faults += _gene_faults(bundle.genes, genes, root)
    if faults:
        raise InputError(faults)


def _gene_faults(wanted: pd.DataFrame, found: pd.DataFrame, root: str) -> list[str]:
    if len(wanted) != len(found):
        return [fault(root, "genes", found=f"{len(found)} genes", wanted=f"the bundle's {len(wanted)}")]
    differs = np.flatnonzero(
        (wanted[["gene_id", "contig"]].to_numpy() != found[["gene_id", "contig"]].to_numpy()).any(axis=1)
    )
    if not len(differs):
        return []
    first = differs[0]
    place = f"gene_id at position {first} ({len(differs)} differ)"
    return [fault(root, place, found=found["gene_id"].iloc[first], wanted=wanted["gene_id"].iloc[first])]
