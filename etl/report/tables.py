"""The ledger as the rows of tables."""

from __future__ import annotations

import pandas as pd

from etl.report.attrition import ANY
from etl.report.data import ReportData
from etl.report.people import STATUSES, STEPS

MAX_BATCHES = 10
"""Batches with a column of their own; the smallest others share one."""


def ledger_rows(data: ReportData) -> list[dict[str, object]]:
    """People by step and reason.

    Returns
    -------
    list
        One entry per step: step, n_in, n_out, by_status (status -> people in), and rows of reason, n_first,
        n_all, by_status (status -> first reason), odds_ratio and p_corrected (None where nothing is tested).
        A last row, `ANY`, holds the sums of a step that removed somebody.
    """
    if data.attrition is None:
        return []
    flow, people = data.attrition.flow, data.attrition.people
    tests = data.attrition.tests.set_index(["step", "reason"])
    found = []
    for step in STEPS:
        came, left = flow[flow["step"] == step], people[people["step"] == step]
        by_status = came.groupby("status")[["n_in", "n_out"]].sum()
        rows = [_row(tests, step, str(reason), group) for reason, group in left.groupby("reason", sort=False)]
        if rows:
            rows.append(_row(tests, step, ANY, left) | {"n_all": None})
        found.append(
            {
                "step": step,
                "n_in": int(came["n_in"].sum()),
                "n_out": int(came["n_out"].sum()),
                "by_status": {status: int(by_status["n_in"].get(status, 0)) for status in STATUSES},
                "rows": rows,
            }
        )
    return found


def _row(tests: pd.DataFrame, step: str, reason: str, group: pd.DataFrame) -> dict[str, object]:
    first = group.groupby("status")["n_first"].sum()
    test = tests.to_dict("index").get((step, reason), {"odds_ratio": None, "p_corrected": None})
    return {
        "reason": reason,
        "n_first": int(group["n_first"].sum()),
        "n_all": int(group["n_all"].sum()),
        "by_status": {status: int(first.get(status, 0)) for status in STATUSES},
        "odds_ratio": test["odds_ratio"],
        "p_corrected": test["p_corrected"],
    }


def batch_table(data: ReportData) -> dict[str, object] | None:
    """People removed by first reason and batch; None where there is one batch alone.

    Returns
    -------
    dict
        columns (batches), people_in and people_out along them, and rows of step, reason and counts.
    """
    if data.attrition is None or data.attrition.flow["batch"].nunique() < 2:
        return None
    flow, people = data.attrition.flow, data.attrition.people
    sizes = flow[flow["step"] == STEPS[0]].groupby("batch")["n_in"].sum().sort_values(ascending=False)
    names = sorted(sizes.index[:MAX_BATCHES])
    columns = [*names, "others"] if len(sizes) > len(names) else names

    def along(counts: pd.Series) -> list[int]:
        own = counts.reindex(names, fill_value=0)
        return [*own.astype(int), *([int(counts.sum() - own.sum())] if len(columns) > len(names) else [])]

    rows = [
        {"step": step, "reason": reason, "counts": along(group.groupby("batch")["n_first"].sum())}
        for (step, reason), group in people.groupby(["step", "reason"], sort=False)
    ]
    last = flow[flow["step"] == STEPS[-1]].groupby("batch")["n_out"].sum()
    return {"columns": columns, "people_in": along(sizes), "people_out": along(last), "rows": rows}
