import json

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("plotly")

from contract.page.panel import COLOURS, Cut, groups, histogram_panel


def test_groups__small_ones_share_one_beyond_the_palette():
    names = pd.Series([f"b{number}" for number in range(12)] + ["b0", None])
    found = list(groups(names))
    assert len(found) == len(COLOURS)
    assert found[0][0] == "b0"
    assert found[-1][0] == "6 others"
    assert sum(members.sum() for _, _, members in found) == len(names)


def test_histogram_panel__counts_and_cut():
    values, batch = pd.Series([0.0, 1.0, 2.0, 2.0, np.nan]), pd.Series(["a", "a", "b", "b", "b"])
    panel = histogram_panel("x", "X", values, batch, Cut(low=1.5))
    assert panel.table[["a", "b"]].values.tolist() == [[1, 0], [1, 0], [0, 2]]
    assert [shape.x0 for shape in panel.figure.layout.shapes] == [1.5]


def test_panels__no_figure_carries_plotlys_template():
    panel = histogram_panel("x", "X", pd.Series([1.0, 2.5]), pd.Series(["a", "b"]), Cut())
    assert len(json.dumps(json.loads(panel.figure.to_json()))) < 4000
