"""How many of the planted defects a run of quality control found."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from etl.simulate.truth import Truth

REASONS = {
    "sex error": ("sex_mismatch",),
    "contaminated": ("contamination",),
    "low quality": ("call_rate", "mean_dp", "mean_gq"),
}
"""What a planted person must be dropped for."""

KINDS = {
    "excess_heterozygotes": "excess heterozygotes",
    "differential_missingness": "differential missingness",
    "low_call_rate": "low call rate",
    "batch_artefact": "batch artefact",
    "failed_filter": "failed filter",
}
"""Planted bad variants, as the table names them; any reason counts."""


@dataclass(frozen=True)
class Findings:
    """What quality control said.

    Attributes
    ----------
    person_reasons
        sample_id -> comma-separated reasons, empty for people who stayed.
    pairs
        first, second (sample ids), kinship.
    dropped_variants
        contig, position, ref, alt of every variant that was dropped.
    """

    person_reasons: pd.Series
    pairs: pd.DataFrame
    dropped_variants: pd.DataFrame


def recovered_defects(
    truth: Truth, findings: Findings, *, min_kinship: float, min_duplicate: float
) -> pd.DataFrame:
    """Count planted and found defects by kind.

    Related pairs count where both people passed the limits on single people; duplicates need a kinship of
    `min_duplicate`, other relatives `min_kinship`.

    Returns
    -------
    pandas.DataFrame
        kind, planted, found.
    """
    rows = [*_people(truth, findings), *_pairs(truth, findings, min_kinship, min_duplicate)]
    dropped = set(
        findings.dropped_variants[["contig", "position", "ref", "alt"]].itertuples(index=False, name=None)
    )
    for kind, name in KINDS.items():
        planted = [bad for bad in truth.bad_variants if bad.kind == kind]
        found = sum((bad.contig, bad.position, bad.ref, bad.alt) in dropped for bad in planted)
        rows.append((f"variant: {name}", len(planted), found))
    return pd.DataFrame(rows, columns=["kind", "planted", "found"])


def _people(truth: Truth, findings: Findings) -> list[tuple[str, int, int]]:
    planted = {
        "sex error": [person.sample_id for person in truth.people if person.sex != person.reported_sex],
        "contaminated": [person.sample_id for person in truth.people if person.contamination > 0],
        "low quality": [person.sample_id for person in truth.people if person.low_quality],
    }
    rows = []
    for kind, people in planted.items():
        told = [set(findings.person_reasons[name].split(",")) for name in people]
        rows.append(
            (f"person: {kind}", len(people), sum(bool(reasons & set(REASONS[kind])) for reasons in told))
        )
    return rows


def _pairs(
    truth: Truth, findings: Findings, min_kinship: float, min_duplicate: float
) -> list[tuple[str, int, int]]:
    pairs_found = findings.pairs
    kinship = {
        frozenset((first, second)): float(value)
        for first, second, value in zip(
            pairs_found["first"], pairs_found["second"], pairs_found["kinship"], strict=True
        )
    }
    hard = set().union(*REASONS.values())
    measured = {name for name, told in findings.person_reasons.items() if not hard & set(told.split(","))}
    rows = []
    for kind in dict.fromkeys(pair.kind for pair in truth.related_pairs):
        limit = min_duplicate if kind == "duplicate" else min_kinship
        pairs = [
            frozenset((pair.sample_a, pair.sample_b)) for pair in truth.related_pairs if pair.kind == kind
        ]
        pairs = [pair for pair in pairs if pair <= measured]
        rows.append(
            (
                f"pair: {kind.replace('_', ' ')}",
                len(pairs),
                sum(kinship.get(pair, 0) >= limit for pair in pairs),
            )
        )
    return rows
