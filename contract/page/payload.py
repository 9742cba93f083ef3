"""Figures, tables and the plotting library as compressed text that the browser unpacks.

plotly.min.js alone is 4.6 MB. Compressed it takes 1.8 MB, and every browser since 2023 unpacks it without a
library (DecompressionStream), also from a file.
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Sequence

from plotly.offline import get_plotlyjs

from contract.page.panel import Panel


def packed(text: str) -> str:
    """Text as base64 of gzip; the same text gives the same result at any time."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


@functools.cache
def packed_plotly() -> str:
    """The plotting library; packing it takes most of a page's time."""
    return packed(get_plotlyjs())


def packed_panels(panels: Sequence[Panel]) -> str:
    """JSON: panel name -> data and layout of its figure, and its table as CSV."""
    content = {
        panel.name: {
            "figure": json.loads(panel.figure.to_json()),
            "csv": panel.table.to_csv(index=False, float_format="%.6g"),
        }
        for panel in panels
    }
    return packed(json.dumps(content, separators=(",", ":")))
