"""Panels of burden tests: quantiles of p-values, and genes along the genome. No counts of people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.stats import beta

from contract.page.panel import COLOURS, CUT_COLOUR, OTHERS_COLOUR, Panel, rounded, styled
from etl.report.data import AssociationPart
from etl.report.names import reason_words

SMALLEST_SHOWN = 20
"""Smallest p-values of a channel that each have a point among the quantiles; of the others ranks at equal
distances on the axis."""
QUANTILES = 40
GENES_SHOWN = 200
"""Strongest results along the genome, and as many of the others, drawn with a seed; the file has them all."""


def association_panels(part: AssociationPart) -> list[Panel]:
    """Quantiles of all channels in one panel, and a panel along the genome; none where nothing was tested."""
    if part.table.empty:
        return []
    return [_quantile_panel(part.table), _genome_panel(part.table)]


def thinned_quantiles(log10_p: pd.Series) -> pd.DataFrame:
    """Expected and observed -log10 p and their ranks, smallest p first; those that can be told apart."""
    observed = np.sort(log10_p.to_numpy())[::-1]
    n = len(observed)
    even = np.linspace(-np.log10((n - 0.5) / n), -np.log10(0.5 / n), QUANTILES)
    spaced = np.floor(n * 10.0**-even).astype(int)
    places = np.unique(np.r_[np.arange(min(n, SMALLEST_SHOWN)), np.clip(spaced, 0, n - 1)])
    expected = -np.log10((places + 0.5) / n)
    return pd.DataFrame({"rank": places + 1, "expected": expected, "observed": observed[places]})


def _quantile_panel(table: pd.DataFrame) -> Panel:
    figure, found = go.Figure(), []
    n = int(table["channel"].value_counts().max())
    rank = np.unique(np.geomspace(1, n, 20).astype(int))
    for share in (0.025, 0.975):
        # The k-th smallest of n uniform values is Beta(k, n + 1 - k).
        limit = -np.log10(beta.ppf(share, rank, n + 1 - rank))
        line = {"color": OTHERS_COLOUR, "dash": "dot", "width": 1}
        place = rounded(-np.log10((rank - 0.5) / n))
        figure.add_trace(go.Scatter(x=place, y=rounded(limit), mode="lines", line=line, showlegend=False))
    for colour, (channel, rows) in zip(_colours(), table.groupby("channel", sort=False), strict=False):
        quantiles = thinned_quantiles(rows["log10_p"])
        found.append(quantiles.assign(channel=channel, tests=len(rows)))
        figure.add_trace(
            go.Scatter(
                x=rounded(quantiles["expected"]),
                y=rounded(quantiles["observed"]),
                mode="markers",
                name=reason_words(channel),
                marker={"size": 5, "color": colour},
            )
        )
    figure.update_xaxes(title_text="expected −log10 p")
    figure.update_yaxes(title_text="observed −log10 p")
    title = "Burden tests against chance; dotted: 95 % of what chance gives"
    return Panel("association_quantiles", title, styled(figure, 340), pd.concat(found, ignore_index=True))


def _genome_panel(table: pd.DataFrame) -> Panel:
    shown = _shown(table)
    labels = shown["symbol"].fillna(shown["gene_id"])
    offsets = _offsets(table)
    threshold = -np.log10(0.05 / len(table))
    figure = go.Figure()
    figure.add_hline(y=threshold, line={"color": CUT_COLOUR, "width": 1.5, "dash": "dash"})
    for colour, channel in zip(_colours(), table["channel"].unique(), strict=False):
        rows = shown[shown["channel"] == channel]
        figure.add_trace(
            go.Scatter(
                x=[int(value) for value in rows["start"] + rows["contig"].map(offsets)],
                y=rounded(rows["log10_p"]),
                text=labels[rows.index].tolist(),
                mode="markers",
                name=reason_words(channel),
                marker={"size": 5, "color": colour},
                hovertemplate="%{text}: %{y}",
            )
        )
    ends = table.groupby("contig")["end"].max()
    figure.update_xaxes(
        tickvals=[int(offset + ends[contig] // 2) for contig, offset in offsets.items()],
        tickangle=0,
        ticktext=[str(contig).removeprefix("chr") for contig in offsets],
    )
    figure.update_yaxes(title_text="−log10 p", rangemode="tozero")
    title = f"Genes along the genome; dashed: p of 0.05 / {len(table):,} tests"
    data = shown[["contig", "start", "channel"]].assign(gene=labels, log10_p=rounded(shown["log10_p"]))
    return Panel("association_genome", title, styled(figure, 340), data, wide=True)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    order = table["log10_p"].sort_values(ascending=False, kind="stable").index
    others = np.random.default_rng(0).permutation(order[GENES_SHOWN:])[:GENES_SHOWN]
    return table.loc[np.sort(np.r_[order[:GENES_SHOWN], others])]


def _offsets(table: pd.DataFrame) -> dict[str, int]:
    """Where each contig begins on the axis, in the order of the genome."""
    ends = table.groupby("contig")["end"].max()
    ordered = sorted(ends.index, key=_contig_rank)
    return dict(zip(ordered, [0, *ends[ordered].cumsum()], strict=False))


def _contig_rank(contig: str) -> tuple[int, str]:
    name = contig.removeprefix("chr")
    return (int(name), "") if name.isdigit() else (100, name)


def _colours() -> list[str]:
    return [colour for colour in COLOURS if colour != CUT_COLOUR] * 10
