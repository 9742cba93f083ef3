"""How many of the planted defects a run of quality control found, and what it dropped without cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from etl.simulate.power import detection_power
from etl.simulate.truth import PersonTruth, Truth

MIN_POWER = 0.99
"""Chance of being found from which a planted variant counts: others say nothing of the rules' quality."""

REASONS = {
    "sex error": ("sex_mismatch",),
    "contaminated": ("contamination",),
    "low quality": ("call_rate", "mean_dp", "mean_gq"),
    "ancestry outlier": ("outlier_ancestry",),
}
"""What a planted person must be dropped for."""

HARD = frozenset(reason for kind, names in REASONS.items() if kind != "ancestry outlier" for reason in names)
"""Reasons before relatives and ancestry are looked at."""

KINDS = {
    "excess_heterozygotes": "excess heterozygotes",
    "differential_missingness": "differential missingness",
    "low_call_rate": "low call rate",
    "batch_artefact": "batch artefact",
    "failed_filter": "failed filter",
    "poor_coverage": "badly covered by a kit",
    "off_target": "off target",
}
"""Bad variants, as the table names them; any reason counts."""

DEGREES = {"duplicate": 0.5, "first degree": 0.25, "second degree": 0.125}
"""Degree of relatives -> their expected kinship."""

WITHOUT_CARRIERS = "monomorphic"
"""Reason that clean variants may have: whoever carried them was dropped."""


@dataclass(frozen=True)
class Findings:
    """What quality control said.

    Attributes
    ----------
    person_reasons
        sample_id -> comma-separated reasons of all steps, empty for people who stayed.
    pairs
        first, second (sample ids), kinship.
    dropped_variants
        contig, position, ref, alt, reasons (lists) of every variant that was dropped.
    """

    person_reasons: pd.Series
    pairs: pd.DataFrame
    dropped_variants: pd.DataFrame


@dataclass(frozen=True)
class Specificity:
    """Clean people and variants, and how many of them were dropped.

    Attributes
    ----------
    people_by_group
        batch or ancestry, clean, wrong.
    reasons
        Reason -> clean people and variants dropped for it.
    """

    people_clean: int
    people_wrong: int
    variants_clean: int
    variants_wrong: int
    people_by_group: pd.DataFrame
    reasons: dict[str, int]


def recovered_defects(
    truth: Truth, findings: Findings, *, min_kinship: float, min_duplicate: float
) -> pd.DataFrame:
    """Count planted and found defects by kind.

    Related pairs count where both people passed the limits on single people; duplicates need a kinship of
    `min_duplicate`, other relatives `min_kinship`. Variants count where `detection_power` is at least
    `MIN_POWER`; the others are rows of their own.

    Returns
    -------
    pandas.DataFrame
        kind, planted, found; kinds without any are left out.
    """
    rows = [*_people(truth, findings), *_pairs(truth, findings, min_kinship, min_duplicate)]
    dropped = set(_keys(findings.dropped_variants))
    power = detection_power(truth)
    for kind, name in KINDS.items():
        for weak in (False, True):
            planted = [
                bad
                for bad, chance in zip(truth.bad_variants, power, strict=True)
                if bad.kind == kind and (chance < MIN_POWER) == weak
            ]
            found = sum((bad.contig, bad.position, bad.ref, bad.alt) in dropped for bad in planted)
            rows.append((f"variant: {name}{', too weak to be sure' if weak else ''}", len(planted), found))
    return pd.DataFrame([row for row in rows if row[1]], columns=["kind", "planted", "found"])


def specificity(truth: Truth, findings: Findings, variants: int) -> Specificity:
    """Count the clean people and variants that were dropped.

    Clean are people without any planted defect who were sequenced once, and variants that are not among the
    bad ones. A variant whose carriers were all dropped may go.

    Parameters
    ----------
    truth, findings
        See `recovered_defects`.
    variants
        Alleles of the VCF.
    """
    clean = _clean_people(truth)
    wrong = [person for person in clean if findings.person_reasons[person.sample_id]]
    bad = {(item.contig, item.position, item.ref, item.alt) for item in truth.bad_variants}
    table = findings.dropped_variants
    lost = [
        reasons
        for key, reasons in zip(_keys(table), table["reasons"], strict=True)
        if key not in bad and set(reasons) != {WITHOUT_CARRIERS}
    ]
    told = [findings.person_reasons[person.sample_id].split(",") for person in wrong]
    groups = [
        {
            "group": f"{kind} {name}",
            "clean": sum(getattr(person, kind) == name for person in clean),
            "wrong": sum(getattr(person, kind) == name for person in wrong),
        }
        for kind in ("batch", "ancestry")
        for name in sorted({getattr(person, kind) for person in clean})
    ]
    return Specificity(
        people_clean=len(clean),
        people_wrong=len(wrong),
        variants_clean=variants - len(bad),
        variants_wrong=len(lost),
        people_by_group=pd.DataFrame(groups),
        reasons=dict(Counter(reason for reasons in [*told, *lost] for reason in reasons).most_common()),
    )


def _keys(variants: pd.DataFrame) -> Iterable[tuple[str, int, str, str]]:
    return variants[["contig", "position", "ref", "alt"]].itertuples(index=False, name=None)


def _clean_people(truth: Truth) -> list[PersonTruth]:
    twice = {
        name
        for pair in truth.related_pairs
        if pair.kind == "duplicate"
        for name in (pair.sample_a, pair.sample_b)
    }
    return [
        person
        for person in truth.people
        if person.sample_id not in twice and not any(_defects(person).values())
    ]


def _defects(person: PersonTruth) -> dict[str, bool]:
    return {
        "sex error": person.sex != person.reported_sex,
        "contaminated": person.contamination > 0,
        "low quality": person.low_quality,
        "ancestry outlier": person.ancestry_outlier,
    }


def _people(truth: Truth, findings: Findings) -> list[tuple[str, int, int]]:
    rows = []
    for kind, reasons in REASONS.items():
        people = [person.sample_id for person in truth.people if _defects(person)[kind]]
        told = [set(findings.person_reasons[name].split(",")) for name in people]
        if kind == "ancestry outlier":
            # Who has left before ancestry was looked at cannot be found there.
            told = [found for found in told if not found & HARD]
        rows.append((f"person: {kind}", len(told), sum(bool(found & set(reasons)) for found in told)))
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
    measured = {name for name, told in findings.person_reasons.items() if not HARD & set(told.split(","))}
    rows = []
    for degree, expected in DEGREES.items():
        limit = min_duplicate if degree == "duplicate" else min_kinship
        pairs = [
            frozenset((pair.sample_a, pair.sample_b))
            for pair in truth.related_pairs
            if pair.kinship == expected
        ]
        pairs = [pair for pair in pairs if pair <= measured]
        rows.append(
            (
                f"pair: {degree}",
                len(pairs),
                sum(kinship.get(pair, 0) >= limit for pair in pairs),
            )
        )
    return rows
