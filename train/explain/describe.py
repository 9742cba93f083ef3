"""What explanations.json says, from the table of genes and what was measured."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from train.bundle import Bundle
from train.explain.burden import METHOD
from train.explain.config import ExplainConfig
from train.explain.known_genes import enrich
from train.explain.network import Explained
from train.explain.ranking import INTERVAL, Refits, agree, stability

TOP_SHOWN = 20
FAMILY_ERROR = 0.05
"""Chance of a false gene among all that are tested (Bonferroni)."""
LIST_NOTE = (
    "A list that other cohorts gave is replication. A list, or published gene statistics, that this cohort "
    "contributed to (SCHEMA contains the Swedish exomes) repeats what is here: fine to look up, a leak as a "
    "prior. Long genes carry more variants and are found more easily: compare lists of like length."
)


def describe(
    bundle: Bundle, table: pd.DataFrame, explained: Explained, refits: Refits | None, config: ExplainConfig
) -> dict[str, Any]:
    """Completeness, ranking, association, agreement, lists and the check by random weights, ready for JSON.

    Raises
    ------
    InputError
        If a gene list does not serve.
    """
    universe_G = table["varies"].to_numpy(dtype=bool)
    rank_G = table["rank"].to_numpy()
    lists = [enrich(path, table, rank_G, universe_G, config.top) for path in config.lists]
    found = {
        "baseline": "training mean",
        "completeness": explained.completeness,
        "shares": _shares(bundle, table, explained),
        "ranking": _ranking(table, refits, config),
        "association": _association(table),
        "agreement": asdict(agree(rank_G, table["burden_log10_p"].to_numpy(), universe_G, config.top)),
        "lists": [asdict(each) for each in lists],
        "lists_note": LIST_NOTE,
        "randomisation": asdict(explained.randomisation),
    }
    plain: dict[str, Any] = _without_nan(found)
    return plain


def _shares(bundle: Bundle, table: pd.DataFrame, explained: Explained) -> dict[str, Any]:
    """Mean |attribution| summed over genes by channel, and by covariate."""
    channels = [channel.name for channel in bundle.facts.channels]
    return {
        "channels": {channel: float(table[f"attribution_{channel}"].sum()) for channel in channels},
        "covariates": dict(
            zip(bundle.facts.covariates, explained.totals.covariate_P().tolist(), strict=True)
        ),
    }


def _ranking(table: pd.DataFrame, refits: Refits | None, config: ExplainConfig) -> dict[str, Any]:
    columns = ["rank", "rank_low", "rank_high", "gene_id", "symbol", "inclusion", "inclusion_low"]
    columns += ["inclusion_high", "attribution", "attribution_low", "attribution_high", "burden_log10_p"]
    first = table.sort_values("rank").head(TOP_SHOWN)[columns]
    return {
        "by": "inclusion" if table["inclusion"].notna().any() else "attribution",
        "intervals": f"percentiles {INTERVAL[0]} to {INTERVAL[1]}; of inclusion over refits, of attribution "
        f"over folds of people, of ranks over {'refits' if refits else 'folds of people'}",
        "refits": [{"fold": fold, "seed": seed} for fold, seed in refits.pairs] if refits else [],
        "stability": stability(refits.rank_RG(), config.top) if refits else [],
        "top": first.to_dict("records"),
    }


def _association(table: pd.DataFrame) -> dict[str, Any]:
    log10_p_G = table["burden_log10_p"].to_numpy()
    tested = int(np.isfinite(log10_p_G).sum())
    threshold = -math.log10(FAMILY_ERROR / max(tested, 1))
    return {
        "method": METHOD,
        "people": "those that the model was trained and chosen on: agreement with it is no replication",
        "genes_tested": tested,
        "threshold_log10_p": threshold,
        "genes_above_threshold": int((log10_p_G > threshold).sum()),
    }


def _without_nan(content: Any) -> Any:
    """The same with null for nan, and plain numbers: JSON has neither nan nor numpy."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
