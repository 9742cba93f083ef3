"""Checks of what tells status without the network: neutral variants, covariates, batch, counts, quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.audit.auroc import Measure, cross, levels, stratified_auroc
from train.audit.evidence import Evidence, synonymous_channels
from train.audit.fitting import out_of_fold, scaled_features
from train.audit.rules import (
    BALANCED_AUROC,
    LOST_SHARE,
    MATERIAL_GAIN,
    Finding,
    not_possible,
    z_limit,
)
from train.design import Design


@dataclass(frozen=True)
class Comparison:
    """A score's AUROC over all pairs of a fold, and over pairs that something else does not tell apart."""

    overall: Measure
    within: Measure

    @property
    def explained(self) -> bool:
        """Whether what was taken out explains the score.

        The score tells cases at all (its 95 % interval lies above 0.5), it tells significantly less within
        the strata, and there its interval holds 0.5 or more than `LOST_SHARE` of its distance from 0.5 is
        gone.
        """
        if self.overall.low <= 0.5 or not self.within.n_pairs:
            return False
        lost = self.overall.minus(self.within)
        half = self.within.estimate - 0.5 < (1 - LOST_SHARE) * (self.overall.estimate - 0.5)
        return lost.deviate(0.0) > z_limit() and (self.within.low <= 0.5 or half)

    def numbers(self) -> dict[str, Any]:
        """Both AUROCs."""
        return {"score": self.overall.numbers(), "score_within": self.within.numbers()}


def synonymous_only(evidence: Evidence) -> Finding:
    """Synonymous variants by a ridge, out of fold: they must add nothing to the covariates."""
    wanted = "synonymous variants add nothing to the covariates"
    places = synonymous_channels(evidence.manifest.channels)
    if not places:
        return not_possible("no channel of synonymous variants", wanted, "add a synonymous mask to the ETL")
    design, step = evidence.open, evidence.open.n_genes
    columns = np.concatenate([np.arange(place * step, (place + 1) * step) for place in places])
    alone = _open_auroc(design, _ridge(design, columns, with_covariates=False))
    both = _open_auroc(design, _ridge(design, columns, with_covariates=True))
    base = _open_auroc(design, evidence.predict_alone("covariates", design.covariates_MP))
    gain = both.minus(base)
    numbers = {"auroc": alone.numbers(), "with_covariates": both.numbers(), "gain": gain.estimate}
    found = f"AUROC {alone} alone; {gain.estimate:+.3f} beside the covariates"
    telling = alone.deviate() > z_limit()
    if telling and gain.deviate(0.0) > z_limit() and gain.estimate > MATERIAL_GAIN:
        means = "variants without effect tell status: calls or ancestry differ between cases and controls"
        advice = (
            "look at call rates and depth by status and batch, add ancestry components, call them jointly"
        )
        return Finding("failed", found, wanted, means, advice, numbers)
    return Finding("passed", found, wanted, "neutral variants don't tell status", numbers=numbers)


def covariates_only(evidence: Evidence) -> Finding:
    """Covariates alone; that they explain a score is no leak, but leaves the genes without a finding."""
    wanted = "the score tells cases from controls with the same covariates too"
    design = evidence.open
    if not design.covariates_MP.shape[1]:
        return not_possible("the dataset has no covariates", wanted)
    alone = _open_auroc(design, evidence.predict_alone("covariates", design.covariates_MP))
    numbers: dict[str, Any] = {"auroc": alone.numbers(), "explains": False}
    found = f"AUROC {alone}"
    comparison = _compare(evidence, "covariates", lambda people: people.covariates_MP)
    if comparison is None:
        return Finding("passed", found, wanted, numbers=numbers)
    numbers |= comparison.numbers() | {"explains": alone.deviate() > z_limit() and comparison.explained}
    found += f"; the network's {comparison.overall}, {comparison.within} among people with alike covariates"
    if numbers["explains"]:
        means = "what the score knows the covariates know: the genes add nothing that can be seen"
        return Finding("passed", found, wanted, means, "report the gain over the covariates", numbers)
    return Finding("passed", found, wanted, "covariates do not explain the score", numbers=numbers)


def batch_alone(evidence: Evidence) -> Finding:
    """Batch alone: it may differ by status, but must not explain the score."""
    wanted = "the score tells cases from controls of the same batch"
    if evidence.open.groups["batch"].nunique() < 2:
        return not_possible("one batch", wanted)
    alone = _open_auroc(evidence.open, evidence.predict_alone("batch", evidence.batches(evidence.open)))
    advice = "sequence cases and controls together, or balance batches by status; more covariates don't help"
    return _weigh(alone, _compare(evidence, "batch", evidence.batches), wanted, advice)


def total_count_alone(evidence: Evidence) -> Finding:
    """Total counts: a burden of disease holds within batch and ancestry, one of calling does not."""
    wanted = "where total counts tell cases, they do so within batch and ancestry too"
    design = evidence.open
    prediction_M = evidence.predict_alone("total_count", design.channel_totals_MC())
    alone = _open_auroc(design, prediction_M)
    strata = (design.fold_M, design.groups["batch"].to_numpy(), design.groups["ancestry"].to_numpy())
    within = stratified_auroc(design.is_case_M, prediction_M, cross(*strata), design.family_M)
    within = within.cross_validated()
    numbers = {"auroc": alone.numbers(), "within_strata": within.numbers()}
    found = f"AUROC {alone}, {within} within batch and ancestry"
    comparison = _compare(evidence, "total_count", lambda people: people.channel_totals_MC())
    if comparison is not None:
        numbers |= comparison.numbers()
        found += f"; the network's {comparison.overall}, {comparison.within} at alike counts"
    significant = alone.deviate() > z_limit() and Comparison(alone, within).explained
    if significant and (comparison is None or comparison.explained):
        means = "people's counts differ by where they were sequenced or come from, and with that by status"
        advice = "call all people jointly, drop what differs between batches, compare within batches"
        return Finding("failed", found, wanted, means, advice, numbers)
    return Finding("passed", found, wanted, "counts of batches don't explain the score", numbers=numbers)


def quality_alone(evidence: Evidence) -> Finding:
    """Call rate, depth, quality and contamination alone must not explain the score."""
    wanted = "the score tells cases from controls who were called alike"
    metrics = evidence.technical(evidence.open)
    if metrics is None:
        return not_possible("no people_qc.parquet", wanted, "run the ETL again: it leaves this table now")
    alone = _open_auroc(evidence.open, evidence.predict_alone("quality", metrics.to_numpy()))
    comparison = _compare(evidence, "quality", lambda people: _frame(evidence, people))
    return _weigh(alone, comparison, wanted, "see the check of call rates by status")


def _frame(evidence: Evidence, people: Design) -> NDArray[Any]:
    metrics = evidence.technical(people)
    assert metrics is not None  # the caller has looked
    return metrics.to_numpy()


def _weigh(alone: Measure, comparison: Comparison | None, wanted: str, advice: str) -> Finding:
    found, numbers = f"AUROC {alone} alone", {"auroc": alone.numbers()}
    if comparison is None:
        return Finding("passed", found, wanted, "no score to compare with", numbers=numbers)
    numbers |= comparison.numbers()
    found += f"; the network's {comparison.overall}, {comparison.within} where it is alike"
    telling = alone.deviate() > z_limit() and alone.estimate - 0.5 > BALANCED_AUROC
    if telling and comparison.explained:
        return Finding("failed", found, wanted, "it explains the score: this is no disease", advice, numbers)
    means = "it does not explain the score" if telling else "it does not tell status"
    return Finding("passed", found, wanted, means, numbers=numbers)


def _compare(evidence: Evidence, name: str, variables: Callable[[Design], NDArray[Any]]) -> Comparison | None:
    """The judged score among people whom some variables make equally likely to be cases.

    Strata of the propensity take out what the variables confound (Rosenbaum & Rubin 1984).
    """
    judged = evidence.judged
    if judged is None:
        return None
    sealed_x = variables(judged.design) if judged.people == "sealed" else None
    propensity_M = evidence.predict_judged(name, variables(evidence.open), sealed_x)
    return Comparison(judged.auroc(), judged.auroc(levels(propensity_M, judged.design.fold_M)))


def _ridge(design: Design, columns: NDArray[Any], *, with_covariates: bool) -> NDArray[np.float64]:
    covariates = design.covariates_MP if with_covariates else None
    x_MF = scaled_features(design.x_MF[:, columns], design.n_genes, covariates)
    return out_of_fold(x_MF, design.is_case_M, design.fold_M)


def _open_auroc(design: Design, score_M: NDArray[np.float64]) -> Measure:
    found = stratified_auroc(design.is_case_M, score_M, design.fold_M, design.family_M)
    return found.cross_validated()
