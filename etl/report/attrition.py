"""The attrition ledger: who left at which step, for which reason, by status and batch; sums are checked."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from scipy.stats import fisher_exact

from etl.report.people import STEPS

KEYS = ["step", "reason", "status", "batch"]
CELL = ["status", "batch"]
ANY = "any reason"


def people_ledger(people: pd.DataFrame) -> pd.DataFrame:
    """People removed by step, reason, status and batch.

    Parameters
    ----------
    people
        From `report_people`, with in_end: whether the person is in the dataset.

    Returns
    -------
    pandas.DataFrame
        step, reason, status, batch, n_first (people whose first reason it is: adds up to those who left) and
        n_all (people who carry it: one person may carry several). Cells without anybody have no row.

    Raises
    ------
    ValueError
        If at some step, in some cell of status and batch, those who came in are not those who left for a
        first reason and those who went on.
    """
    found = []
    for step in STEPS:
        carried = people.loc[people[step] != "", [*CELL, step]]
        reasons = carried[step].str.split(",")
        for column, named in (("n_first", reasons.str[:1]), ("n_all", reasons)):
            rows = carried[CELL].assign(step=step, reason=named).explode("reason")
            found.append(rows.assign(count=column))
    rows = pd.concat(found)
    ledger = rows.groupby([*KEYS, "count"], sort=False).size().unstack("count", fill_value=0)
    ledger = ledger.reindex(columns=["n_first", "n_all"], fill_value=0).reset_index()
    ledger.columns.name = None
    check_sums(people_flow(people), ledger)
    return ledger


def people_flow(people: pd.DataFrame) -> pd.DataFrame:
    """People who came to each step and who went on, by status and batch: step, status, batch, n_in, n_out."""
    after = dict(zip(STEPS, (*(f"in_{step}" for step in STEPS[1:]), "in_end"), strict=True))
    parts = [
        people.groupby(CELL, sort=True)
        .agg(n_in=(f"in_{step}", "sum"), n_out=(after[step], "sum"))
        .reset_index()
        .assign(step=step)
        for step in STEPS
    ]
    return pd.concat(parts, ignore_index=True)[["step", *CELL, "n_in", "n_out"]]


def check_sums(flow: pd.DataFrame, ledger: pd.DataFrame) -> None:
    """Compare, step by step and cell by cell, who came in with who left and who went on.

    Raises
    ------
    ValueError
        Naming the first step and cell that does not add up.
    """
    left = ledger.groupby(["step", *CELL])["n_first"].sum()
    rows = flow.join(left, on=["step", *CELL]).fillna({"n_first": 0})
    for row in rows.to_dict("records"):
        n_in, n_first, n_out = (int(row[name]) for name in ("n_in", "n_first", "n_out"))
        if n_in != n_first + n_out:
            raise ValueError(
                f"attrition ledger: step {row['step']}, {row['status']} in batch {row['batch']}: {n_in} "
                f"people came in, {n_first} left for a first reason and {n_out} went on: "
                f"{n_in - n_first - n_out:+d} are unaccounted for"
            )


def variant_ledger(
    first: Mapping[str, int], every: Mapping[str, int], *, n_in: int, n_out: int
) -> pd.DataFrame:
    """Variants removed by reason.

    Parameters
    ----------
    first, every
        Reason -> variants whose first reason it is, and variants that carry it.
    n_in, n_out
        Variants that were read and that passed, as the steps' records tell them.

    Returns
    -------
    pandas.DataFrame
        reason, n_first, n_all, in the order of `every`.

    Raises
    ------
    ValueError
        If those read are not those that left for a first reason and those that passed.
    """
    left = sum(first.values())
    if n_in != left + n_out:
        raise ValueError(
            f"attrition ledger: variants: {n_in} came in, {left} left for a first reason and {n_out} went "
            f"on: {n_in - left - n_out:+d} are unaccounted for"
        )
    rows = [(reason, first.get(reason, 0), count) for reason, count in every.items()]
    return pd.DataFrame(rows, columns=["reason", "n_first", "n_all"])


def removal_tests(flow: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Whether a step, or one of its reasons, removes cases and controls unequally: Fisher's exact test.

    People of the sealed fold and of unknown status do not count. The sealed fold was balanced by status, so
    its absence among those who went on moves no odds ratio in expectation.

    Parameters
    ----------
    flow, ledger
        See `people_flow` and `people_ledger`.

    Returns
    -------
    pandas.DataFrame
        step, reason (`ANY` for the whole step), cases_removed, cases_in, controls_removed, controls_in,
        odds_ratio (of leaving, cases to controls), p (two-sided), p_corrected (Bonferroni over the rows).
        Reasons that removed no case and no control have no row.
    """
    came = flow.groupby(["step", "status"])["n_in"].sum()
    whole = ledger.groupby(["step", "status"])["n_first"].sum().reset_index(name="n").assign(reason=ANY)
    single = ledger.groupby(["step", "reason", "status"])["n_all"].sum().reset_index(name="n")
    removed = pd.concat([whole, single]).groupby(["step", "reason", "status"])["n"].sum()
    rows = []
    for step in STEPS:
        cases_in, controls_in = (int(came.get((step, status), 0)) for status in ("case", "control"))
        reasons = {reason for at, reason, _ in removed.index if at == step}
        for reason in sorted(reasons, key=lambda name: (name != ANY, name)):
            cases, controls = (int(removed.get((step, reason, status), 0)) for status in ("case", "control"))
            if cases + controls:
                table = [[cases, cases_in - cases], [controls, controls_in - controls]]
                ratio, p = fisher_exact(table)
                rows.append((step, reason, cases, cases_in, controls, controls_in, ratio, p))
    columns = ["step", "reason", "cases_removed", "cases_in", "controls_removed", "controls_in"]
    tests = pd.DataFrame(rows, columns=[*columns, "odds_ratio", "p"])
    return tests.assign(p_corrected=(tests["p"] * len(tests)).clip(upper=1.0))
