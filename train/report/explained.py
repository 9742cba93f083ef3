"""Sentences and rows from explanations.json: what was explained, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from train.report.words import is_measured


def explained_words(explanations: Mapping[str, Any] | None) -> list[str]:
    """A sentence each on people, completeness, the check by random weights, association and agreement."""
    if not explanations:
        return []
    found = []
    people, complete = explanations.get("people"), explanations.get("completeness")
    if isinstance(people, Mapping) and people.get("explained"):
        found.append(
            f"Attributions are integrated gradients of {people['explained']:,} people outside the sealed "
            f"fold, from the {explanations.get('baseline', 'training mean')}."
        )
    if isinstance(complete, Mapping) and is_measured(complete.get("worst_error")):
        found.append(
            f"They add up to a person's logit with an error of at most {complete['worst_error']:.2%} "
            f"(median {complete.get('median_error', 0):.2%})."
        )
    found += _random_weights(explanations.get("randomisation")) + _association(explanations)
    return found


def list_rows(explanations: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Lists of known genes: name, genes that could be found, those among the top, and the chance of it."""
    rows = []
    for entry in (explanations or {}).get("lists") or []:
        tops = [
            f"{top['overlap']} of the first {top['top']} (chance: {top['expected']:.1f}; p = {top['p']:.2g})"
            for top in entry.get("top") or []
        ]
        rank_p = entry.get("rank_p")
        rows.append(
            {
                "list": str(entry.get("name", "")),
                "genes": f"{entry.get('in_universe', 0):,} of {entry.get('entries', 0):,}",
                "among the first": "; ".join(tops),
                "p that they stand higher": f"{rank_p:.2g}" if rank_p is not None else "",
            }
        )
    return rows


def _random_weights(check: Any) -> list[str]:
    if not isinstance(check, Mapping) or not is_measured(check.get("correlation")):
        return []
    verdict = "as it should be" if check.get("passed") else "too high: they show the data more than the model"
    return [
        f"With random weights attributions correlate with these by {check['correlation']:.2f} "
        f"(at most {check.get('limit', 0):.2f} wanted): {verdict}."
    ]


def _association(explanations: Mapping[str, Any]) -> list[str]:
    association, agreement = explanations.get("association"), explanations.get("agreement")
    found = []
    if isinstance(association, Mapping) and association.get("genes_tested") is not None:
        found.append(
            f"Of {association['genes_tested']:,} genes tested for burden, "
            f"{association.get('genes_above_threshold', 0):,} hold after Bonferroni's correction. These are "
            "people that the model was trained on: agreement is no replication."
        )
    if isinstance(agreement, Mapping) and is_measured(agreement.get("spearman")):
        found.append(f"Ranks of genes agree with the burden tests by Spearman's {agreement['spearman']:.2f}.")
    return found
