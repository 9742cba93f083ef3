"""The network's direct path of a run: gene effects fitted on its people, kept in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from contract.errors import InputError, fault
from contract.schema import gene_properties as property_names
from train.config import GeneCNNConfig, TrainConfig
from train.data import RowGroupReader
from train.effects.columns import GeneColumns, gather_columns
from train.effects.crossfit import DirectPath, fit_direct_path
from train.effects.neighbours import neighbours_within
from train.effects.prior import property_basis
from train.effects.sets import SetGate
from train.effects.stack import Cohort
from train.gene_sets import ReadSets, read_gene_sets
from train.model import Fits, GeneCNN
from train.order import list_row_groups
from train.people import UNKNOWN
from train.prepare import Prepared
from train.sparse import SparseRows

EFFECTS_NAME, EFFECTS_FACTS_NAME = "effects.safetensors", "effects.json"
OUT_OF_FOLD_NAME = "out_of_fold.parquet"


def gene_cnn_of(config: TrainConfig) -> GeneCNNConfig:
    """The settings of a run's network, which must be a GeneCNN."""
    if not isinstance(config.model, GeneCNNConfig):
        raise TypeError(f"{config.model.kind} has no gene effects")
    return config.model


def gene_order(genes: pd.DataFrame, config: GeneCNNConfig, seed: int) -> NDArray[np.int64]:
    """Gene at each place: as on the genome, or shuffled within its chromosome for a control."""
    places = np.arange(len(genes))
    if not config.shuffle_genes:
        return places
    rng = np.random.default_rng([seed, 13])
    for _, members in pd.Series(places).groupby(genes["contig"].to_numpy(), sort=False):
        places[members] = rng.permutation(members.to_numpy())
    return places


def gene_properties(genes: pd.DataFrame, config: GeneCNNConfig, seed: int) -> pd.DataFrame | None:
    """Columns of the gene table beyond the contract's, if any are used; shuffled for a control."""
    names = property_names(genes.columns)
    if not names or not config.effects.properties:
        return None
    properties = genes[names].astype(float)
    if config.effects.shuffle_properties:
        order = np.random.default_rng([seed, 17]).permutation(len(properties))
        properties = properties.iloc[order].reset_index(drop=True)
    return properties


def gene_sets_of_run(prepared: Prepared) -> ReadSets | None:
    """The gene sets that the configuration names, on the dataset's gene axis; see `read_gene_sets`."""
    path = gene_cnn_of(prepared.config).effects.gene_sets
    return None if path is None else read_gene_sets(path, prepared.genes)


def fit_effects_of_run(
    prepared: Prepared, reader: RowGroupReader, threads: int, given: ReadSets | None = None
) -> DirectPath:
    """Effects from everybody outside the sealed fold and those held out.

    The network is trained with effects that have not seen the validation people, and gets those of all people
    at the end, see `train.effects.stack.Cohort.unseen`.

    Parameters
    ----------
    prepared
        Inputs of the run; its model is a GeneCNN.
    reader
        Of the dataset.
    threads
        Fits at a time.
    given
        Gene sets whose products are tried. Where genes are shuffled for a control, their genes move too.
    """
    config, people = prepared.config, prepared.people
    model = gene_cnn_of(config)
    known_M = people.is_case_M != UNKNOWN
    rows_M = np.flatnonzero(known_M)
    groups = prepared.group_of_fold
    properties = gene_properties(prepared.genes, model, config.seed)
    scaled_MP = (people.covariates_MP[rows_M] - prepared.scaler.covariate_mean_P) * (
        prepared.scaler.covariate_factor_P
    )
    cohort = Cohort(
        columns=_read_columns(prepared, reader, known_M),
        is_case_M=people.is_case_M[rows_M],
        covariates_MP=scaled_MP.astype(np.float64),
        group_M=np.array([groups[fold] for fold in people.fold_M[rows_M].tolist()], np.int64),
        basis_GD=None if properties is None else property_basis(properties),
    )
    reach = model.effects.neighbours
    order_G = gene_order(prepared.genes, model, config.seed)
    neighbours = neighbours_within(tuple(prepared.genes["contig"]), reach, order_G) if reach else None
    path = fit_direct_path(
        cohort,
        neighbours,
        sets=None if given is None else given.sets.moved(order_G),
        polygenic=model.effects.polygenic,
        threads=threads,
    )
    if given is None:
        return path
    chosen = [
        {"name": name, "genes": len(genes), "weight": float(weight)}
        for name, genes, weight in zip(
            path.sets.sets.names, path.sets.sets.genes, path.sets.weights(-1), strict=True
        )
        if weight
    ]
    return replace(path, facts={**path.facts, "gene_sets": {**given.facts(), "chosen": chosen}})


def _read_columns(prepared: Prepared, reader: RowGroupReader, known_M: NDArray[np.bool_]) -> GeneColumns:
    people, place_M = prepared.people, np.cumsum(known_M) - 1
    groups = list_row_groups(prepared.manifest, (*prepared.training_folds, *prepared.validation_folds))

    def blocks() -> Iterable[tuple[NDArray[np.int64], SparseRows]]:
        for rows in reader.read(groups):
            at = people.rows(rows.sample_R)
            kept = np.flatnonzero(known_M[at])
            yield place_M[at[kept]], rows if len(kept) == len(rows) else rows.take(kept)

    manifest = prepared.manifest
    return gather_columns(blocks, int(known_M.sum()), len(manifest.channels), manifest.n_features)


def save_path(folder: Path, path: DirectPath) -> None:
    """Keep the effects of a run, so that it goes on with the same ones."""
    arrays = {name: np.asarray(value) for name, value in vars(path).items() if name not in ("facts", "sets")}
    gene_U, member_US = path.sets.members()
    arrays |= {"set_gene_U": gene_U, "member_US": member_US, "set_weight_KS": path.sets.weight_KS}
    partial = folder / (EFFECTS_NAME + ".partial")
    save_file({name: np.ascontiguousarray(array, np.float64) for name, array in arrays.items()}, partial)
    (folder / EFFECTS_FACTS_NAME).write_text(json.dumps(path.facts, indent=1))
    partial.replace(folder / EFFECTS_NAME)


def load_path(folder: Path) -> DirectPath | None:
    """The effects that `save_path` left; None where there are none.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    if not (folder / EFFECTS_NAME).exists():
        return None
    try:
        arrays = load_file(folder / EFFECTS_NAME)
        facts = json.loads((folder / EFFECTS_FACTS_NAME).read_text())
        gate, intercept, centred = (arrays.pop(name).item() for name in ("gate", "intercept", "centred"))
        sets = [arrays.pop(name) for name in ("set_gene_U", "member_US", "set_weight_KS")]
        numbers: dict[str, Any] = {**arrays, "sets": SetGate.of(*sets), "facts": facts}
        return DirectPath(gate=gate, intercept=intercept, centred=bool(centred), **numbers)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        wanted = "effects of this trainer; without the file they are fitted anew"
        raise InputError(fault(folder, EFFECTS_NAME, found=f"damaged ({error})", wanted=wanted)) from None


def install(model: GeneCNN, path: DirectPath, prepared: Prepared) -> None:
    """Put the effects into the network, in the scale of its features, and start covariates where they stood.

    Features of the network are (x - mean) × factor. One with factor 0 does not vary among the training people
    and is silent.
    """
    direct, shape, scaler = model.direct, model.direct.scout_CG.shape, prepared.scaler
    order_G = gene_order(prepared.genes, gene_cnn_of(prepared.config), prepared.config.seed)
    contigs = tuple(prepared.genes["contig"])
    factor_CG = scaler.factor_F.astype(np.float64).reshape(shape)
    safe_CG = np.where(factor_CG > 0, factor_CG, 1.0)
    mean_CG = scaler.mean_F.astype(np.float64).reshape(shape)

    def tensors(k: int) -> list[Tensor]:
        scout_CG, reader_CG = (
            np.where(factor_CG > 0, effects[k].T, 0.0) for effects in (path.scout_KGC, path.reader_KGC)
        )
        constant_G, centre = (reader_CG * mean_CG).sum(0), path.centre_K[k]
        if path.centred:
            constant_G, centre = np.zeros_like(constant_G), centre - constant_G.sum()
        arrays = (scout_CG / safe_CG, reader_CG / safe_CG, constant_G, centre, path.sets.weights(k))
        device = direct.scale.device
        return [torch.as_tensor(array, dtype=torch.float32, device=device) for array in arrays]

    left_out = (tensors(k) for k in range(len(path.centre_K) - 1))
    direct.left_out = Fits(*map(torch.stack, zip(*left_out, strict=True)))
    *last, weight_S = tensors(-1)
    gene_U, member_US = path.sets.members()
    direct.sets.choose(torch.from_numpy(gene_U), torch.from_numpy(member_US).float(), weight_S)
    with torch.no_grad():
        for buffer, value in zip(
            (direct.scout_CG, direct.reader_CG, direct.constant_G, direct.centre), last, strict=True
        ):
            buffer.copy_(value)
        direct.gate.fill_(path.gate)
        direct.order_G.copy_(torch.from_numpy(order_G))
        model.intercept.fill_(path.intercept)
        model.covariate_P.copy_(torch.from_numpy(path.covariate_weight_P))
        if model.rest is not None:
            model.rest.attend(torch.from_numpy(order_G), torch.from_numpy(path.relevance_G), contigs)


def out_of_fold_table(prepared: Prepared, path: DirectPath) -> pd.DataFrame:
    """Scores of everybody outside the sealed fold with a known label, each by a fit without their group.

    Columns sample_index, fold, logit (genes and covariates), gene_logit (genes alone); ascending.
    """
    people = prepared.people
    rows_M = np.flatnonzero(people.is_case_M != UNKNOWN)
    table = pd.DataFrame(
        {
            "sample_index": people.sample_M[rows_M],
            "fold": people.fold_M[rows_M],
            "logit": path.logit_M,
            "gene_logit": path.gene_logit_M,
        }
    )
    return table.sort_values("sample_index", ignore_index=True)


def described_genes(genes: pd.DataFrame, path: DirectPath, channels: Sequence[str]) -> pd.DataFrame:
    """The gene axis with `inclusion`, the probability of an effect, and `effect_<channel>` per allele."""
    effects = {f"effect_{name}": path.reader_KGC[-1][:, c] for c, name in enumerate(channels)}
    return genes.assign(inclusion=path.inclusion_G, **effects)
