"""Panels on variants: rates, tests, frequencies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from contract.page.panel import COLOURS, OTHERS_COLOUR, Cut, Panel, add_cuts, bars, rounded, styled
from etl.report.data import Histogram
from etl.report.names import reason_words
from etl.report.variants import DIFFERENCE_EDGES, P_EDGES, VariantSums

TITLES = {
    "call_rate": "Call rate, everybody",
    "call_rate_cases": "Call rate of cases",
    "call_rate_controls": "Call rate of controls",
    "log10_hwe_p": "log10 p of Hardy-Weinberg equilibrium",
}


def metric_panels(variants: Mapping[str, Histogram]) -> list[Panel]:
    """A histogram of each variant metric, counts on a logarithmic axis; end bars hold what is outside."""
    return [_histogram(name, TITLES.get(name, name), found) for name, found in variants.items()]


def difference_panel(sums: VariantSums, limit: float | None) -> Panel | None:
    """Variants by call rate of cases minus that of controls, outside the sealed fold."""
    if not sums.differences.any():
        return None
    cut = Cut() if limit is None else Cut(-limit, limit)
    found = Histogram(DIFFERENCE_EDGES, sums.differences, cut)
    return _histogram("call_rate_difference", "Call rate of cases − controls", found)


def _histogram(name: str, title: str, found: Histogram) -> Panel:
    figure = go.Figure(bars(found.edges, found.counts, "variants", COLOURS[0]))
    add_cuts(figure, found.cut)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title_text="variants", type="log", dtick=1)
    table = pd.DataFrame({"from": found.edges[:-1], "to": found.edges[1:], "variants": found.counts})
    return Panel(f"variants_{name}", title, styled(figure), table)


def equilibrium_panel(sums: VariantSums, n_groups: int) -> Panel | None:
    """Quantiles of the Hardy-Weinberg p-values against those of a uniform distribution, −log10."""
    table = equilibrium_quantiles(sums.p_values, n_groups)
    if table.empty:
        return None
    figure = go.Figure()
    last = float(table["expected"].max())
    figure.add_trace(
        go.Scatter(x=[0, last], y=[0, last], mode="lines", line={"color": OTHERS_COLOUR, "dash": "dot"})
    )
    figure.add_trace(
        go.Scatter(
            x=rounded(table["expected"]),
            y=rounded(table["observed"]),
            mode="markers",
            marker={"size": 5, "color": COLOURS[0]},
        )
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title_text="expected −log10 p")
    figure.update_yaxes(title_text="observed −log10 p")
    title = "Hardy-Weinberg p in controls, alleles above 1 %"
    return Panel("equilibrium", title, styled(figure), table)


def equilibrium_quantiles(p_values: np.ndarray, n_groups: int) -> pd.DataFrame:
    """Observed and expected −log10 p, one row for each bin of `P_EDGES` that holds variants, largest p first.

    The p-value is the smallest over ancestry groups: it is corrected for their number (Šidák), then the
    values of a bin share its mean rank.
    """
    held = np.flatnonzero(p_values)
    middle = (P_EDGES[:-1] + P_EDGES[1:])[held] / 2
    observed = -np.log10(-np.expm1(n_groups * np.log1p(-(10.0**-middle))))
    from_top = np.cumsum(p_values[held][::-1])[::-1]  # variants of this bin and of smaller p
    rank = from_top - p_values[held] / 2
    expected = -np.log10(rank / p_values.sum()) if len(held) else np.array([])
    return pd.DataFrame({"expected": expected, "observed": observed, "variants": p_values[held]})


def spectrum_panel(sums: VariantSums) -> Panel | None:
    """Passing variants by minor allele count outside the sealed fold, in doublings."""
    if not sums.spectrum.any():
        return None
    shown = range(int(np.flatnonzero(sums.spectrum.any(axis=0)).max()) + 1)
    labels = [_doubling(place) for place in shown]
    figure, columns = go.Figure(), {"minor_allele_count": labels}
    for name, colour, counts in zip(("SNVs", "others"), COLOURS, sums.spectrum, strict=False):
        columns[name] = counts[: len(labels)].tolist()
        figure.add_trace(go.Bar(x=labels, y=columns[name], name=name, marker_color=colour))
    figure.update_layout(barmode="group")
    figure.update_xaxes(title_text="copies of the minor allele", type="category")
    figure.update_yaxes(title_text="variants", type="log", dtick=1)
    return Panel("spectrum", "Allele-frequency spectrum", styled(figure), pd.DataFrame(columns))


def _doubling(place: int) -> str:
    if place <= 2:
        return str(place)
    return f"{2 ** (place - 2) + 1}–{2 ** (place - 1)}"


def genotype_panel(counts: Mapping[str, int], n_genotypes: int) -> Panel | None:
    """Genotypes that were not called or failed a rule, as a share of all; one may fail several rules."""
    if not counts or not n_genotypes:
        return None
    table = pd.DataFrame({"reason": list(counts), "genotypes": list(counts.values())})
    table["share"] = table["genotypes"] / n_genotypes
    labels = table["reason"].str.replace("_", " ").tolist()
    figure = go.Figure(go.Bar(x=labels, y=rounded(table["share"]), marker_color=COLOURS[0]))
    figure.update_layout(showlegend=False)
    figure.update_yaxes(tickformat=".2%", title_text="share of genotypes")
    return Panel("genotypes", "Genotypes not called, or failing a rule", styled(figure), table)


def burden_panels(burden: pd.DataFrame) -> list[Panel]:
    """Mean burden of cases and controls with 95 % intervals, a panel with its own axis for each channel."""
    panels = []
    for place, (channel, rows) in enumerate(burden.groupby("channel", sort=False)):
        figure = go.Figure()
        for colour, status in zip(COLOURS, ("control", "case"), strict=False):
            row = rows[rows["status"] == status]
            error = {"type": "data", "array": rounded(row["high"] - row["mean"]), "thickness": 2, "width": 8}
            figure.add_trace(
                go.Scatter(
                    x=[status],
                    y=rounded(row["mean"]),
                    error_y=error,
                    mode="markers",
                    marker={"size": 10, "color": colour},
                )
            )
        figure.update_layout(showlegend=False)
        figure.update_xaxes(range=[-0.6, 1.6], type="category")
        figure.update_yaxes(title_text="mean per person")
        panels.append(Panel(f"burden_{place}", reason_words(channel), styled(figure, 240), rows))
    return panels
