"""The first page in words: what was removed, and what looks wrong."""

from __future__ import annotations

import pandas as pd

from etl.report.data import ReportData
from etl.report.names import reason_words

MAX_REASONS = 4
"""Reasons that a sentence names; the ledger has the others."""


def removed_in_words(data: ReportData) -> list[str]:
    """A sentence each on people, variants and genotypes, with the most frequent first reasons."""
    if data.attrition is None:
        return []
    people, (n_in, n_out) = data.attrition.people, data.attrition.n_people
    variants, (v_in, v_out) = data.attrition.variants, data.attrition.n_variants
    found = [
        _sentence("people", n_in, n_out, people.groupby("reason")["n_first"].sum()),
        _sentence("variants", v_in, v_out, variants.set_index("reason")["n_first"]),
    ]
    failed = [line for line in data.lines if line.unit == "genotypes" and line.reason != "not_called"]
    if failed and data.genotypes_judged and data.n_genotypes:
        worst = max(failed, key=lambda line: line.count)
        found.append(
            f"The rule on {reason_words(worst.reason)} set the most genotypes to missing: "
            f"{worst.count / data.n_genotypes:.2%} of {data.n_genotypes:,}."
        )
    return found


def _sentence(unit: str, n_in: int, n_out: int, first: pd.Series) -> str:
    first = first[first > 0].sort_values(ascending=False, kind="stable")
    told = [f"{count:,} for {reason_words(reason)}" for reason, count in first.items()]
    if len(told) > MAX_REASONS:
        told = [*told[:MAX_REASONS], f"{int(first.iloc[MAX_REASONS:].sum()):,} for other reasons"]
    why = f": {', '.join(told)}" if told else ""
    return f"{n_in - n_out:,} of {n_in:,} {unit} were removed{why}; {n_out:,} stay."


def suspicions(data: ReportData) -> list[str]:
    """A sentence for each gate that did not pass, those that fail first."""
    bad = [gate for gate in data.gates if gate.verdict != "pass"]
    return [
        f"{gate.name}: {gate.found}. Wanted: {gate.limit}."
        for gate in sorted(bad, key=lambda gate: gate.verdict != "fail")
        if gate.name not in ("Warnings of the steps", "Genotypes judged")
    ]
