"""Verdicts of the first page: what to look at before the dataset is used. They remove nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import chi2, chi2_contingency, mannwhitneyu

from etl.report.attrition import ANY
from etl.report.data import Gate, ReportData
from etl.report.names import reason_words
from etl.report.people import compared_sexes
from etl.report.variant_figures import equilibrium_quantiles
from etl.thresholds import GateThresholds

MIX_UPS = ("duplicate_other_status", "duplicate_other_sex")
"""Reasons of people who are one person under two names with different facts."""


def judge(data: ReportData, limits: GateThresholds) -> list[Gate]:
    """A verdict for each gate whose figures were measured, in the order of the report.

    Status is compared outside the sealed fold only: `data` knows no other.
    """
    return [
        *_run_gates(data),
        *_attrition_gates(data, limits),
        *_people_gates(data, limits),
        *_batch_gates(data, limits),
        *_variant_gates(data, limits),
        *_burden_gates(data, limits),
        *_association_gates(data, limits),
    ]


def _run_gates(data: ReportData) -> Iterator[Gate]:
    judged = data.genotypes_judged
    yield Gate(
        "Genotypes judged",
        "pass" if judged else "warn",
        "by depth, quality and allele balance" if judged else "no: every call was taken as it is",
        "genotype_qc: apply",
    )
    if data.n_pairs_across_folds is not None:
        found = data.n_pairs_across_folds
        yield Gate(
            "Families and folds",
            "fail" if found else "pass",
            f"{found:,} related pairs in different folds",
            f"none with kinship of at least {data.min_kinship_family}",
        )
    yield Gate(
        "Warnings of the steps",
        "warn" if data.warnings else "pass",
        f"{len(data.warnings)}, listed above" if data.warnings else "none",
        "none",
    )


def _attrition_gates(data: ReportData, limits: GateThresholds) -> Iterator[Gate]:
    attrition = data.attrition
    if attrition is None:
        return
    came, stayed = attrition.n_people
    for name, unit, n_in, n_out, limit in (
        ("People kept", "people", came, stayed, limits.min_people_kept),
        ("Variants kept", "variants", *attrition.n_variants, limits.min_variants_kept),
    ):
        share = n_out / n_in if n_in else 0.0
        yield Gate(
            name,
            "warn" if share < limit else "pass",
            f"{n_out:,} of {n_in:,} {unit} ({share:.1%}); every one that left has a reason",
            f"at least {limit:.0%}",
        )
    for row in attrition.tests.nsmallest(1, "p_corrected").to_dict("records"):
        reason = "" if row["reason"] == ANY else f" for {reason_words(row['reason'])}"
        yield Gate(
            "Cases and controls removed alike",
            "warn" if row["p_corrected"] < limits.warn_p else "pass",
            f"most unequal: {reason_words(row['step'])}{reason} removed {row['cases_removed']:,} of "
            f"{row['cases_in']:,} cases, {row['controls_removed']:,} of {row['controls_in']:,} controls "
            f"(p {row['p']:.2g}, corrected {row['p_corrected']:.2g})",
            f"corrected p of at least {limits.warn_p:g} (Fisher; Bonferroni, {len(attrition.tests)} tests)",
        )
    mixed = attrition.people[attrition.people["reason"].isin(MIX_UPS)]["n_first"].sum()
    yield Gate(
        "Samples mixed up",
        "warn" if mixed else "pass",
        f"{mixed:,} people are duplicates of somebody with another status or sex",
        "none",
    )


def _people_gates(data: ReportData, limits: GateThresholds) -> Iterator[Gate]:
    people = data.people
    if people is None:
        return
    if sexes := compared_sexes(people):
        wrong, known = sexes
        yield Gate(
            "Reported sex",
            "warn" if wrong > limits.max_sex_mismatches * known else "pass",
            f"{wrong:,} of {known:,} people differ from their X chromosome",
            f"at most {limits.max_sex_mismatches:.1%}: more are mixed-up samples",
        )
    cases, controls = (_of_status(people, status, "call_rate") for status in ("case", "control"))
    if len(cases) and len(controls):
        difference = float(cases.mean() - controls.mean())
        yield Gate(
            "Missingness of cases and controls",
            "warn" if abs(difference) > limits.max_call_rate_difference else "pass",
            f"mean call rate {cases.mean():.4f} and {controls.mean():.4f}, difference {difference:+.4f}",
            f"at most ±{limits.max_call_rate_difference:g}",
        )
    cases, controls = (_of_status(people, status, "high_balance") for status in ("case", "control"))
    if len(cases) and len(controls):
        p = float(mannwhitneyu(cases, controls).pvalue)
        yield Gate(
            "Heterozygotes with high allele balance",
            "warn" if p < limits.warn_p else "pass",
            f"mean share {cases.mean():.3%} in cases, {controls.mean():.3%} in controls (p {p:.2g})",
            f"p of at least {limits.warn_p:g} (Mann-Whitney): else callers may differ",
        )


def _of_status(people: pd.DataFrame, status: str, metric: str) -> pd.Series:
    """A metric of the people in the dataset who are of that status and outside the sealed fold."""
    if metric not in people:
        return pd.Series(dtype=float)
    return people.loc[people["in_end"] & (people["status"] == status), metric].dropna()


def _batch_gates(data: ReportData, limits: GateThresholds) -> Iterator[Gate]:
    if data.people is None or data.people["batch"].nunique() < 2:
        return
    kept = data.people[data.people["in_end"] & data.people["status"].isin(["case", "control"])]
    counts = kept.groupby(["batch", "status"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=["case", "control"], fill_value=0)
    large = counts[counts.sum(axis=1) >= limits.min_batch_people]
    alone = large.index[(large == 0).any(axis=1)].tolist()
    p = float(chi2_contingency(counts).pvalue) if (counts.sum() > 0).all() and len(counts) > 1 else np.nan
    share = large["case"] / large.sum(axis=1)
    found = f"share of cases {share.min():.0%} to {share.max():.0%} over {len(large)} batches (p {p:.2g})"
    yield Gate(
        "Batches hold cases and controls",
        "fail" if alone else "warn" if p < limits.warn_p else "pass",
        f"only cases or only controls in {', '.join(map(str, alone))}" if alone else found,
        f"both in each batch of {limits.min_batch_people} people; p of at least {limits.warn_p:g} "
        "(chi-square)",
    )


def _variant_gates(data: ReportData, limits: GateThresholds) -> Iterator[Gate]:
    if data.variant_sums is None or not data.variant_sums.p_values.any():
        return
    inflation = hwe_inflation(data.variant_sums.p_values, data.n_tested_groups)
    yield Gate(
        "Hardy-Weinberg equilibrium",
        "warn" if inflation > limits.max_hwe_inflation else "pass",
        f"inflation at the median {inflation:.2f} in controls, within ancestry",
        f"at most {limits.max_hwe_inflation:g}: more is structure within groups, or calling",
    )


def hwe_inflation(p_values: np.ndarray, n_groups: int) -> float:
    """Chi-square of the median p-value over that of a uniform one (genomic control, Devlin & Roeder 1999).

    Exact p-values are discrete and too large: the inflation is then below 1 without any fault.
    """
    table = equilibrium_quantiles(p_values, n_groups)
    median = float(np.interp(np.log10(2), table["expected"], table["observed"]))
    return float(chi2.isf(10**-median, 1) / chi2.isf(0.5, 1))


def _association_gates(data: ReportData, limits: GateThresholds) -> Iterator[Gate]:
    found = data.association.inflation if data.association else ()
    for each in found:
        if each.channel in data.synonymous:
            inflated = each.value > limits.max_burden_inflation and each.low > 1
            yield Gate(
                f"Inflation of {each.channel} burden tests",
                "warn" if inflated else "pass",
                f"λ {each.value:.2f} ({each.low:.2f} to {each.high:.2f}) over {each.genes:,} genes",
                f"at most {limits.max_burden_inflation:g}, or an interval with 1 in it: "
                "else ancestry, batch or calling",
            )


def _burden_gates(data: ReportData, limits: GateThresholds) -> Iterator[Gate]:
    if data.burden is None:
        return
    for channel in data.synonymous:
        rows = data.burden[data.burden["channel"] == channel].set_index("status")
        p, means = float(rows["p"].iloc[0]), rows["mean"].to_dict()
        if np.isnan(p):
            continue
        yield Gate(
            f"Burden of {channel} alike",
            "fail" if p < limits.fail_p else "warn" if p < limits.warn_p else "pass",
            f"mean {means['case']:.3f} in cases, {means['control']:.3f} in controls (p {p:.2g})",
            f"p of at least {limits.warn_p:g} (Welch; fails below {limits.fail_p:g}): else ancestry or batch",
        )
