"""The methods paragraph: sentences from the facts of a run, to be copied into a paper."""

from __future__ import annotations

from typing import Any

from train.record import Record
from train.report.words import KINDS, joined, number_text

SCALINGS = {
    "channel": "by the pooled standard deviation of its channel",
    "standard": "by its own standard deviation",
}
CITED = {
    "DeLong": "DeLong et al. 1988, Biometrics 44:837.",
    "Lakshminarayanan": "Lakshminarayanan et al. 2017, Adv. Neural Inf. Process. Syst. 30.",
    "bootstrap": "Efron and Tibshirani 1993, An Introduction to the Bootstrap.",
    "Platt": "Platt 1999, Advances in Large Margin Classifiers 61.",
}
"""References by the word that calls for them."""


def methods(record: Record) -> list[str]:
    """Paragraphs on data, model, training and judging; the last one lists what is cited."""
    texts = [_data(record), _model(record), _judged(record), _software(record)]
    cited = [source for word, source in CITED.items() if any(word in text for text in texts)]
    return [*texts, " ".join(cited)] if cited else texts


def _data(record: Record) -> str:
    facts, people = record.facts, record.people
    counted = ""
    if people:
        counted = (
            f" The model was trained on {people['training']:,} people and chosen on {people['validation']:,} "
            f"({people['cases']:,} cases and {people['controls']:,} controls in all)."
        )
    channels = [channel["name"].replace("_", " ") for channel in facts["channels"]]
    genome = facts["reference_genome"]
    return (
        f"People were split into folds that families never cross. Folds {_folds(facts['training_folds'])} "
        f"were used for training and {_folds(facts['validation_folds'])} for validation; fold "
        f"{facts['test_fold']} was sealed and read by the evaluation alone.{counted} Features are "
        f"rare-variant burdens by gene on {genome}, in {len(channels)} channels: {joined(channels)}. "
        + (
            f"Covariates: {joined(facts['covariates'])}."
            if facts["covariates"]
            else "The model saw no covariates."
        )
    )


def _model(record: Record) -> str:
    config: dict[str, Any] = record.config
    kind, data = config["model"]["kind"], config.get("data", {})
    scaling = SCALINGS.get(data.get("scaling", ""), "by statistics")
    stopping, n_ranks = config.get("stopping", {}), record.run.get("ranks", 1)
    words = (
        f"The model is {KINDS.get(kind, f'a network of kind {kind}')}. Every feature was scaled {scaling} in "
        f"the training folds. It was trained on {n_ranks} rank{'' if n_ranks == 1 else 's'} with seed "
        f"{config['seed']}"
    )
    if data.get("batch_size"):
        words += f" in batches of {data['batch_size']} people"
    if stopping.get("max_epochs") and record.history:
        words += f", {len(record.history)} of at most {stopping['max_epochs']} epochs"
    kept = kept_words(record)
    words += (f"; {kept}." if kept else ".") + _members(record) + _effects(record)
    if record.metrics.get("permuted_labels"):
        words += " Labels were permuted: this is a null run."
    if record.calibration:
        words += (
            f" Logits were calibrated (Platt 1999) on {record.calibration['n']:,} people, each scored by a "
            f"fit without their fold: slope {number_text(record.calibration['slope'])}, intercept "
            f"{number_text(record.calibration['intercept'])}."
        )
    return words


def kept_words(record: Record) -> str:
    """Which epoch's weights the bundle holds; empty where that isn't known."""
    best, facts = record.metrics.get("best_epoch"), record.facts
    if facts.get("direct_loss") is not None:
        wanted = record.config["stopping"].get("min_evidence", 0.0) * facts["convolutions_gain_deviation"]
        if not best or facts["convolutions_gain"] <= wanted:
            return "convolutions did not lower the validation loss by enough and are switched off"
    return f"the weights of epoch {best} were kept, by validation loss" if best else ""


def _members(record: Record) -> str:
    """Of how many networks the score is the mean; nothing is said where there is one, or none was kept."""
    members = record.config["model"].get("members", 1)
    if members == 1 or not record.metrics.get("best_epoch"):
        return ""
    return (
        f" The score is the mean logit of {members} networks, trained side by side from starts of their own "
        "(Lakshminarayanan et al. 2017)."
    )


def _effects(record: Record) -> str:
    priors = (record.facts.get("effects") or {}).get("priors") or {}
    told = [
        f"{name.replace('_', ' ')} ({prior['genes_expected']:,.0f} genes expected to count)"
        for name, prior in priors.items()
        if "genes_expected" in prior
    ]
    if not told:
        return ""
    return (
        f" Gene effects were fitted under {len(told)} prior{'' if len(told) == 1 else 's'}, {joined(told)}, "
        "whose parameters were learned from the data, and weighted by scores of people left out of the fits."
    )


def _judged(record: Record) -> str:
    metrics = record.metrics
    method = (metrics.get("auroc") or {}).get("method")
    n_draws = metrics.get("draws_used", metrics.get("bootstrap_draws"))
    draws = (
        f"{n_draws:,} bootstrap draws of whole families" if n_draws else "bootstrap draws of whole families"
    )
    words = (
        f"The sealed fold holds {metrics['n_test']:,} people with a known status ({metrics['n_cases']:,} "
        f"cases, {metrics['n_controls']:,} controls, {metrics['n_families']:,} families). "
    )
    if method:
        words += (
            f"The interval of AUROC is of the method “{method}”; those of other metrics come from {draws}."
        )
    else:
        words += f"Intervals are 95 % percentile intervals of {draws}."
    ladder = record.ladder
    if ladder:
        n_seeds = len(ladder.get("seeds", []))
        words += (
            f" Rivals were compared out of fold on {ladder.get('n_people', 0):,} people outside the sealed "
            f"fold, with paired differences over {n_seeds} seed{'' if n_seeds == 1 else 's'}."
        )
    return words


def _software(record: Record) -> str:
    versions = {name: version for name, version in record.facts["versions"].items() if version}
    return "Software: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."


def _folds(folds: list[int]) -> str:
    return joined([str(fold) for fold in folds]) if folds else "none"
