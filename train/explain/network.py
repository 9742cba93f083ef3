"""A bundle's network explained on people outside the sealed fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.bundle import Bundle
from train.design import Design
from train.explain.attribution import SMALLEST_DIFFERENCE, attribute
from train.explain.config import ExplainConfig
from train.explain.people import PeopleWriter
from train.explain.randomisation import Randomisation, check_randomisation
from train.explain.totals import Totals
from train.people import People
from train.scaling import Densifier, make_batch
from train.sparse import SparseRows


@dataclass(frozen=True)
class Explained:
    """Sums over people, how complete they are, and the check by random weights."""

    totals: Totals
    randomisation: Randomisation
    completeness: dict[str, Any]


def explain_network(
    bundle: Bundle, design: Design, config: ExplainConfig, writer: PeopleWriter | None = None
) -> Explained:
    """Integrated gradients of the people of a design, or of some drawn from it.

    Parameters
    ----------
    bundle
        A trained model.
    design
        People outside the sealed fold, with the bundle's axes.
    config
        How many people, how many steps.
    writer
        Takes the attributions of single people; null: they are forgotten once added up.
    """
    seed = int(bundle.facts.config.get("seed", 0))
    chosen = draw_people(len(design), config.sample, seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = bundle.model().to(device).requires_grad_(False)
    n_channels, folds = len(design.channels), sorted({int(fold) for fold in np.unique(design.fold_M)})
    totals = Totals(folds, n_channels, design.n_genes, len(bundle.facts.covariates))
    few: list[tuple[Tensor, Tensor]] = []
    for rows, x_BCG, covariates_BP in scaled_batches(bundle, design, chosen, device, config.batch_size):
        found = attribute(model, x_BCG, covariates_BP, config)
        totals.add(found, x_BCG, design.fold_M[rows])
        if writer is not None:
            writer.add(found, design.x_MF[rows], design.sample_M[rows], design.fold_M[rows])
        if sum(len(x) for x, _ in few) < config.randomised_people:
            few.append((x_BCG.clone(), covariates_BP.clone()))
    x_BCG, covariates_BP = (torch.cat(parts)[: config.randomised_people] for parts in zip(*few, strict=True))
    check = check_randomisation(model, x_BCG, covariates_BP, config, seed)
    return Explained(totals, check, describe_completeness(totals, config))


def draw_people(n_people: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """Rows of people to explain, in random order; all of them where none or more are wanted."""
    order = np.random.default_rng([seed, 11]).permutation(n_people)
    return order[:wanted] if 0 < wanted < n_people else order


def scaled_batches(
    bundle: Bundle, design: Design, chosen: NDArray[np.int64], device: torch.device, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Rows of the design, x_BCG and covariates_BP, scaled as the model wants them; valid until the next."""
    people, densify = _people_of(design), Densifier(bundle.scaler, len(design.channels), device)
    for start in range(0, len(chosen), batch_size):
        rows = chosen[start : start + batch_size]
        x_BF = design.x_MF[rows]
        sparse = SparseRows(design.sample_M[rows], x_BF.indptr.astype(np.int64), x_BF.indices, x_BF.data)
        batch = make_batch(sparse, people, bundle.scaler).to(device)
        yield rows, densify(batch), batch.covariates_BP


def describe_completeness(totals: Totals, config: ExplainConfig) -> dict[str, Any]:
    """Errors of the sums of attributions over the people explained."""
    error_M, steps_M = totals.error_M(), totals.steps_M()
    return {
        "tolerance": config.tolerance,
        "smallest_difference": SMALLEST_DIFFERENCE,
        "median_error": float(np.median(error_M)),
        "worst_error": float(error_M.max()),
        "people_above_tolerance": int((~(error_M <= config.tolerance)).sum()),
        "median_steps": int(np.median(steps_M)),
        "most_steps": int(steps_M.max()),
        "passed": bool((error_M <= config.tolerance).all()),
    }


def _people_of(design: Design) -> People:
    position = np.full(int(design.sample_M.max(initial=-1)) + 1, -1, np.int64)
    position[design.sample_M] = np.arange(len(design))
    return People(
        position,
        design.sample_M,
        design.fold_M,
        design.is_case_M,
        design.family_M,
        design.covariates_MP,
    )
