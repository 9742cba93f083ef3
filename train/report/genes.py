"""Which genes carry the score: along the genome, beside their burden association, and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from markupsafe import escape

from contract.page.panel import COLOURS, CUT_COLOUR, MAX_POINTS, Panel, rounded, styled
from train.report.words import interval_text, is_measured, number_text

N_TABLE, N_NAMED = 25, 12
NAME_WIDTH, NAME_HEIGHT = 0.6, 0.06
"""Shares of a figure's sides that two names take where the page is narrow."""
CONTIG_NAMED = 0.025
"""Share of all genes from which a contig's name is written."""
N_BACKGROUND = 1_000
"""Genes drawn of those that don't stand high: enough to show where the others lie."""
MEASURES = {"inclusion": "posterior inclusion", "attribution": "mean |attribution|"}
"""What makes a gene count, the better known first; columns of genes.parquet."""


@dataclass(frozen=True)
class GeneRow:
    """A gene of the table; `values` has words by column, without what wasn't measured."""

    rank: int
    name: str
    gene_id: str
    contig: str
    values: dict[str, str]


def gene_panels(genes: pd.DataFrame, threshold: float | None = None) -> list[Panel]:
    """Genes along the genome by what makes them count, and that beside the burden association.

    Parameters
    ----------
    genes
        genes.parquet of `explain`.
    threshold
        -log10 p from which a burden association holds for all genes tested.
    """
    measure = _measure(genes)
    if measure is None:
        return []
    placed = _placed(genes).dropna(subset=[measure])
    found = [_genome_panel(placed, measure)]
    if "burden_log10_p" in placed and placed["burden_log10_p"].notna().any():
        found.append(_agreement_panel(placed, measure, threshold))
    return found


def top_genes(genes: pd.DataFrame, n: int = N_TABLE) -> list[GeneRow]:
    """The first genes by rank, or by what they were measured by where there is no rank."""
    measure = _measure(genes)
    if "rank" in genes:
        genes = genes.sort_values("rank", kind="stable")
    elif measure:
        genes = genes.sort_values(measure, ascending=False, kind="stable")
    rows: list[dict[str, Any]] = [dict(row) for _, row in genes.head(n).iterrows()]
    return [GeneRow(number, *_name(row), _values(row)) for number, row in enumerate(rows, start=1)]


def _measure(genes: pd.DataFrame) -> str | None:
    return next((name for name in MEASURES if name in genes and genes[name].notna().any()), None)


def _placed(genes: pd.DataFrame) -> pd.DataFrame:
    """Genes in the order of the axis with a label, their place on it and the number of their contig."""
    symbols = genes["symbol"] if "symbol" in genes else genes["gene_id"]
    return genes.assign(
        label=symbols.where(symbols.notna(), genes["gene_id"]).astype(str),
        place=range(len(genes)),
        contig_number=pd.factorize(genes["contig"])[0],
    )


def _genome_panel(placed: pd.DataFrame, measure: str) -> Panel:
    shown = _thinned(placed, [measure])
    figure = go.Figure()
    for parity, colour in ((0, COLOURS[0]), (1, COLOURS[4])):
        rows = shown[shown["contig_number"] % 2 == parity]
        figure.add_trace(_points(rows, "place", measure, colour))
    _name_points(figure, placed, "place", measure)
    by_contig = placed.groupby("contig", sort=False)["place"]
    # Names of contigs with few genes would stand on one another.
    large = by_contig.count() > CONTIG_NAMED * len(placed)
    names = [str(name).removeprefix("chr") for name in large.index[large]]
    figure.update_xaxes(
        title_text="genes in genome order",
        tickvals=rounded(by_contig.mean()[large]),
        ticktext=[str(escape(name)) for name in names],
        showgrid=False,
        # Names of genes beside the points would push the axis out.
        range=[-0.01 * len(placed), 1.01 * len(placed)],
    )
    figure.update_yaxes(title_text=MEASURES[measure], rangemode="tozero")
    title = f"Genes along the genome by {MEASURES[measure]}"
    if len(shown) < len(placed):
        title += f"; {len(shown):,} of {len(placed):,} are drawn, among them all that stand high"
    return Panel("genes", title, styled(figure, 360), shown[["label", "contig", measure]], wide=True)


def _agreement_panel(placed: pd.DataFrame, measure: str, threshold: float | None) -> Panel:
    tested = placed.dropna(subset=["burden_log10_p"])
    shown = _thinned(tested, [measure, "burden_log10_p"])
    figure = go.Figure(_points(shown, "burden_log10_p", measure, COLOURS[0]))
    _name_points(figure, tested, "burden_log10_p", measure)
    if threshold is not None and threshold < 1.5 * float(tested["burden_log10_p"].max()):
        figure.add_vline(threshold, line={"color": CUT_COLOUR, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(title_text="burden association, −log10 p", rangemode="tozero")
    figure.update_yaxes(title_text=MEASURES[measure], rangemode="tozero")
    title = "The model's genes beside their burden association in the same people"
    table = shown[["label", "burden_log10_p", measure]]
    return Panel("genes_burden", title, styled(figure, 360), table, wide=True)


def _thinned(rows: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    """At most about `MAX_POINTS` genes: the highest of each measure, and every so manieth of the others."""
    if len(rows) <= MAX_POINTS:
        return rows
    high = pd.Index([])
    for measure in measures:
        high = high.union(rows[measure].nlargest((MAX_POINTS - N_BACKGROUND) // len(measures)).index)
    others = rows.index.difference(high)
    step = -(-len(others) // N_BACKGROUND)
    return rows.loc[high.union(others[::step])].sort_values("place")


def _points(rows: pd.DataFrame, x: str, y: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=rounded(rows[x]) if x != "place" else rows[x].tolist(),
        y=rounded(rows[y]),
        text=[str(escape(label)) for label in rows["label"]],
        hovertemplate="%{text}: %{y}<extra></extra>",
        mode="markers",
        marker={"size": 5, "color": colour},
        showlegend=False,
    )


def _name_points(figure: go.Figure, rows: pd.DataFrame, x: str, y: str) -> None:
    """Write the symbols of the highest genes beside them, but no two on one another."""
    width, height = (max(float(rows[axis].max()), 1e-9) for axis in (x, y))
    middle, named = (float(rows[x].min()) + float(rows[x].max())) / 2, list[Any]()
    for index, row in rows.nlargest(N_NAMED, y).iterrows():
        places = rows.loc[named]
        near = (places[x] - row[x]).abs() < NAME_WIDTH * width
        if not (near & ((places[y] - row[y]).abs() < NAME_HEIGHT * height)).any():
            named.append(index)
    first = rows.loc[named]
    trace = go.Scatter(
        x=first[x].tolist(),
        y=rounded(first[y]),
        text=[str(escape(label)) for label in first["label"]],
        mode="text",
        # Towards the middle, where a name has room.
        textposition=["middle right" if value < middle else "middle left" for value in first[x]],
        textfont={"size": 11},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_trace(trace)


def _name(row: dict[str, Any]) -> tuple[str, str, str]:
    symbol = row.get("symbol")
    known = isinstance(symbol, str) and symbol != ""
    return str(symbol) if known else str(row["gene_id"]), str(row["gene_id"]), str(row["contig"])


def _values(row: dict[str, Any]) -> dict[str, str]:
    """Columns of the table in words; what isn't in genes.parquet is left out."""
    found = {}
    for name in filter(lambda name: is_measured(row.get(name)), MEASURES):
        ends = {"low": row.get(f"{name}_low"), "high": row.get(f"{name}_high")}
        is_whole = all(is_measured(end) for end in ends.values())
        found[MEASURES[name]] = interval_text({"estimate": row[name], **ends} if is_whole else row[name])
    if is_measured(row.get("rank_low")) and is_measured(row.get("rank_high")):
        found["rank over refits"] = f"{row['rank_low']:,.0f} to {row['rank_high']:,.0f}"
    if is_measured(row.get("burden_log10_p")):
        found["burden p"] = f"{10 ** -row['burden_log10_p']:.2g}"
    for name, value in row.items():
        if name.startswith("effect_") and is_measured(value):
            found[f"effect, {name.removeprefix('effect_').replace('_', ' ')}"] = number_text(value, 2)
    return found
