"""Panels on people: metrics by batch and by status, and sex."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from contract.page.panel import (
    COLOURS,
    STATUS_COLOURS,
    Cut,
    Panel,
    add_cuts,
    histogram_panel,
    rounded,
    styled,
)

SAMPLE_METRICS = {
    "call_rate": "Call rate (share of autosomal genotypes)",
    "mean_dp": "Mean depth (reads)",
    "mean_gq": "Mean genotype quality (Phred)",
    "charr": "Contamination (CHARR, share of reads)",
    "r_ti_tv": "Transitions / transversions",
    "r_het_hom_var": "Heterozygous / homozygous alternate",
    "r_insertion_deletion": "Insertions / deletions",
    "n_singleton": "Singletons (variants that nobody else carries)",
    "high_balance": "Heterozygotes with allele balance above 0.9 (share)",
}
QUANTILES = {"p01": 0.01, "q1": 0.25, "median": 0.5, "q3": 0.75, "p99": 0.99}
MAX_BATCHES = 12
"""Batches with boxes of their own; the smallest others share one."""


def sample_panels(people: pd.DataFrame, cuts: Mapping[str, Cut]) -> list[Panel]:
    """Two panels for each metric that was measured: people by batch, and quantiles by batch and status."""
    return [panel for name in _measured(people) for panel in _metric_panels(people, name, cuts)]


def _measured(people: pd.DataFrame) -> list[str]:
    return [name for name in SAMPLE_METRICS if name in people and people[name].notna().any()]


def _metric_panels(people: pd.DataFrame, name: str, cuts: Mapping[str, Cut]) -> Iterator[Panel]:
    title, cut = SAMPLE_METRICS[name], cuts.get(name, Cut())
    yield histogram_panel(name, title, people[name], people["batch"], cut)
    table = quantiles(people, name)
    figure = go.Figure()
    for status, rows in table.groupby("status", sort=False):
        figure.add_trace(
            go.Box(
                x=rows["batch"].tolist(),
                **{key: rounded(rows[key]) for key in ("q1", "median", "q3")},
                lowerfence=rounded(rows["p01"]),
                upperfence=rounded(rows["p99"]),
                name=str(status),
                marker={"color": STATUS_COLOURS[str(status)]},
                boxpoints=False,
            )
        )
    add_cuts(figure, cut, along="y")
    figure.update_layout(boxmode="group")
    figure.update_xaxes(type="category")
    yield Panel(f"{name}_by_status", f"{title}, by batch and status", styled(figure), table)


def quantiles(people: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Quantiles of a metric by status and batch: both, n, and QUANTILES. Missing values do not count."""
    largest = people["batch"].value_counts().index[:MAX_BATCHES]
    batch = people["batch"].where(people["batch"].isin(largest), "others")
    known = people.assign(batch=batch).dropna(subset=[metric])
    grouped = known.astype({metric: float}).groupby(["status", "batch"], sort=True)[metric]
    found = {name: grouped.quantile(share) for name, share in QUANTILES.items()}
    return pd.DataFrame({"n": grouped.size(), **found}).reset_index()


def sex_panels(people: pd.DataFrame, cut: Cut) -> list[Panel]:
    """F statistic on X by reported sex and, where karyotypes were called, by these; limits of both sexes."""
    if "f_stat" not in people or people["f_stat"].isna().all():
        return []
    title = "Inbreeding coefficient F on X"
    by = {"reported_sex": "reported sex", "sex_karyotype": "sex karyotype", "karyotype": "sex karyotype"}
    return [
        histogram_panel(
            f"f_by_{name}",
            f"{title}, by {words}",
            people["f_stat"],
            people[name],
            cut,
        )
        for name, words in by.items()
        if name in people and people[name].notna().any()
    ] or [histogram_panel("f_by_batch", f"{title}, by batch", people["f_stat"], people["batch"], cut)]


def removal_panel(flow: pd.DataFrame) -> Panel:
    """Share of people who leave at each step, by batch: a batch that stands out was made another way."""
    shares = flow.groupby(["step", "batch"], sort=False)[["n_in", "n_out"]].sum().reset_index()
    shares["share_removed"] = 1 - shares["n_out"] / shares["n_in"].where(shares["n_in"] > 0)
    figure = go.Figure()
    for colour, (step, rows) in zip(COLOURS, shares.groupby("step", sort=False), strict=False):
        label = str(step).replace("_", " ")
        values = np.nan_to_num(rows["share_removed"])
        figure.add_trace(go.Bar(x=rows["batch"].tolist(), y=rounded(values), name=label, marker_color=colour))
    figure.update_layout(barmode="group")
    figure.update_xaxes(type="category")
    figure.update_yaxes(tickformat=".1%")
    return Panel("removed_by_batch", "Share of people removed, by step and batch", styled(figure), shares)
