"""The check for labels in a mask: a feature that was chosen by status tells it where it was chosen alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack

from contract.manifest import Channel, Manifest
from train.audit.auroc import Measure, Values, cross, stratified_auroc
from train.audit.evidence import Evidence
from train.audit.fitting import logit, scaled_features
from train.audit.rules import SMALL_AUROC, Finding, z_limit
from train.design import Design

LABEL_WORDS = re.compile(
    r"(?<![a-z])(is_case|cases?|controls?|status|phenotype|diagnosis|p_?values?|odds(_ratio)?|betas?|"
    r"associations?|labels?)(?![a-z])",
    re.IGNORECASE,
)
"""Words of a mask's definition that only labels give a meaning to."""
PERMUTATIONS = 400
MIN_GENES = 10
"""Genes whose values vary, in a channel whose genes are compared."""
MIN_CARRIERS = 5
"""People with a value in a gene that is compared: fewer have no distribution to speak of."""


def labels_in_masks(evidence: Evidence) -> Finding:
    """Definitions of the masks, and two marks that a choice by status leaves in their counts.

    Chosen by the status of people outside the seal, a feature tells status among them and not among sealed
    people, whose labels are looked at once the sealed fold was read. Chosen by the status of everybody, genes
    all lean to one side: their association with status has less spread than chance alone gives, and no true
    effect takes spread away.
    """
    wanted = "masks defined without labels; features that tell status inside and outside the seal alike"
    named = _named(evidence.manifest)
    told = bool(evidence.readings) and not evidence.config.data.permute_labels
    gaps = _gaps(evidence, evidence.sealed) if told and evidence.sealed is not None else {}
    # Both marks are one family of tests: together they raise a false alarm no more often than a check may.
    limit = z_limit(len(evidence.open.channels) + len(gaps))
    spread = _narrow_channels(evidence.open, limit)
    faults = [f"the definition of {name} speaks of '{word}'" for name, word in named]
    faults += [f"genes of {name} spread {ratio:.2f} of what chance gives" for name, ratio in spread.items()]
    faults += [
        f"{name} tells status at AUROC {outside} outside the seal, {sealed} inside"
        for name, (outside, sealed) in gaps.items()
        if _falls(outside, sealed, limit)
    ]
    numbers: dict[str, Any] = {"named": len(named), "narrow_channels": spread}
    looked = "definitions and spread over genes"
    if gaps:
        numbers["gaps"] = {
            name: {"outside": outside.numbers(), "sealed": sealed.numbers()}
            for name, (outside, sealed) in gaps.items()
        }
        looked += ", and the sealed people's associations"
    else:
        looked += "; the sealed people's labels are looked at once the fold was read"
    if faults:
        means = "variants were chosen by the status of people who are then told apart by them"
        advice = "define masks by annotation and frequency alone; choose by status within training folds only"
        return Finding("failed", "; ".join(faults), wanted, means, advice, numbers)
    return Finding("passed", looked, wanted, "nothing speaks for labels in a mask", numbers=numbers)


def _named(manifest: Manifest) -> list[tuple[str, str]]:
    return [
        (channel.name, match.group())
        for channel in manifest.channels
        if (match := LABEL_WORDS.search(_text(channel)))
    ]


def _text(channel: Channel) -> str:
    def words(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [word for key, inner in value.items() for word in (str(key), *words(inner))]
        if isinstance(value, list):
            return [word for inner in value for word in words(inner)]
        return [value] if isinstance(value, str) else []

    return " ".join([channel.name, *words(channel.definition)])


def _gaps(evidence: Evidence, sealed: Design) -> dict[str, tuple[Measure, Measure]]:
    """AUROC outside and inside the seal: of each channel's total, and of a ridge on all features."""
    design, gaps = evidence.open, {}
    totals, sealed_totals = design.channel_totals_MC(), sealed.channel_totals_MC()
    for place, name in enumerate(design.channels):
        gaps[f"the total of {name}"] = (
            _auroc(design, totals[:, place]),
            _auroc(sealed, sealed_totals[:, place]),
        )
    scaled = scaled_features(csr_matrix(vstack([design.x_MF, sealed.x_MF])), design.n_genes)
    score_M = logit(scaled[: len(design)], design.is_case_M, scaled[len(design) :])
    outside = _auroc(design, evidence.ridge).cross_validated()
    gaps["a ridge on all features"] = (outside, _auroc(sealed, score_M))
    return gaps


def _auroc(design: Design, score_M: Values) -> Measure:
    return stratified_auroc(design.is_case_M, score_M, design.fold_M, design.family_M)


def _falls(outside: Measure, sealed: Measure, limit: float) -> bool:
    """Whether status is told significantly better outside the seal, in the same direction."""
    if not outside.n_pairs or not sealed.n_pairs:
        return False
    side = 1.0 if outside.estimate >= 0.5 else -1.0
    fall = side * (outside.estimate - sealed.estimate)
    error = float(np.hypot(outside.error, sealed.error))
    return fall > limit * error and fall > SMALL_AUROC and side * outside.deviate() > limit


def _narrow_channels(design: Design, limit: float) -> dict[str, float]:
    """Channels whose genes' associations with status have less variance than under permuted status.

    Status is permuted within folds and batches, so that ancestry and batch, which widen the
    spread in both, are no mark. A channel is narrow where the log variance lies `limit` standard deviations
    below the permuted ones. Values: the variance over genes, as a share of the permuted mean.
    """
    rng = np.random.default_rng(17)
    y_M = design.is_case_M.astype(np.float64)
    strata = _strata(design)
    permuted = np.stack([_permuted(y_M, strata, rng) for _ in range(PERMUTATIONS)])
    labels_MD = np.concatenate([y_M[None], permuted]).T - y_M.mean()
    found = {}
    step = design.n_genes
    for place, name in enumerate(design.channels):
        z_GD = _associations(design.x_MF[:, place * step : (place + 1) * step], labels_MD)
        if len(z_GD) < MIN_GENES:
            continue
        variance_D = z_GD.var(axis=0)
        # The log is nearer to normal, so that the deviate may be compared with normal ones.
        log_D = np.log(variance_D[1:] + 1e-12)
        deviate = (np.log(variance_D[0] + 1e-12) - log_D.mean()) / log_D.std()
        if -deviate > limit:
            found[name] = float(variance_D[0] / variance_D[1:].mean())
    return found


def _associations(x_MG: csr_matrix, labels_MD: Values) -> Values:
    """Genes with carriers × draws: covariance of value and status in units of its standard error."""
    carriers_G = np.diff(x_MG.tocsc().indptr)
    x_MG = x_MG[:, carriers_G >= MIN_CARRIERS]
    mean_G = np.asarray(x_MG.mean(axis=0)).ravel()
    square_G = np.asarray(x_MG.multiply(x_MG).mean(axis=0)).ravel()
    deviation_G = np.sqrt(np.maximum(square_G - mean_G**2, 1e-12))
    z_GD: Values = np.asarray(diags(1 / deviation_G) @ (x_MG.T @ labels_MD)) / np.sqrt(len(labels_MD))
    return z_GD


def _permuted(y_M: Values, strata: list[NDArray[np.int64]], rng: np.random.Generator) -> Values:
    """Status permuted among the people of each stratum."""
    shuffled = y_M.copy()
    for members in strata:
        shuffled[members] = y_M[rng.permutation(members)]
    return shuffled


def _strata(design: Design) -> list[NDArray[np.int64]]:
    """People of the same fold and batch."""
    place_M = cross(design.fold_M, design.groups["batch"].to_numpy())
    order = np.argsort(place_M, kind="stable")
    return np.split(order, np.cumsum(np.bincount(place_M))[:-1])
