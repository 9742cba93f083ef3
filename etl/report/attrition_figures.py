"""Sankey diagrams of the ledger: what came in, what left for which first reason, what went on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from contract.page.panel import COLOURS, CUT_COLOUR, Panel, styled
from etl.report.data import Attrition
from etl.report.names import reason_words

Flow = tuple[str, str, int]
"""From, to, how many."""


def people_panel(attrition: Attrition) -> Panel:
    """People from step to step; first reasons, so that the bands add up."""
    out = attrition.flow.groupby("step", sort=False)["n_out"].sum()
    first = attrition.people.groupby(["step", "reason"], sort=False)["n_first"].sum().reset_index()
    flows: list[Flow] = []
    node = "people in"
    for step, n_out in out.items():
        flows += [
            (node, reason_words(row["reason"]), int(row["n_first"]))
            for row in first[(first["step"] == step) & (first["n_first"] > 0)].to_dict("records")
        ]
        on = "in the dataset" if step == out.index[-1] else f"after {reason_words(str(step))}"
        flows.append((node, on, int(n_out)))
        node = on
    return _sankey("people_flow", "People, by first reason", flows)


def variants_panel(attrition: Attrition) -> Panel:
    """Variants by first reason."""
    flows = [
        ("variants in", reason_words(reason), int(count))
        for reason, count in zip(attrition.variants["reason"], attrition.variants["n_first"], strict=True)
        if count
    ]
    flows.append(("variants in", "passing", attrition.n_variants[1]))
    return _sankey("variants_flow", "Variants, by first reason", flows)


def _sankey(name: str, title: str, flows: Sequence[Flow]) -> Panel:
    nodes = list(dict.fromkeys(node for source, target, _ in flows for node in (source, target)))
    sources = {source for source, _, _ in flows}
    goes_on = [node in sources or node == flows[-1][1] for node in nodes]
    size = {target: count for _, target, count in flows}
    size[nodes[0]] = sum(count for source, _, count in flows if source == nodes[0])
    place = {node: number for number, node in enumerate(nodes)}
    figure = go.Figure(
        go.Sankey(
            node={
                "label": [f"{node}: {size[node]:,}" for node in nodes],
                "color": [COLOURS[0] if on else CUT_COLOUR for on in goes_on],
                "pad": 18,
                "thickness": 14,
                "line": {"width": 0},
            },
            link={
                "source": [place[source] for source, _, _ in flows],
                "target": [place[target] for _, target, _ in flows],
                "value": [count for _, _, count in flows],
                "color": [
                    "rgba(0,114,178,0.25)" if goes_on[place[target]] else "rgba(213,94,0,0.4)"
                    for _, target, _ in flows
                ],
            },
        )
    )
    table = pd.DataFrame(flows, columns=["from", "to", "count"])
    return Panel(name, title, styled(figure, max(280, 26 * len(nodes))), table, wide=True)
