"""Small tables of steps as Parquet, at any path or URL."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.storage import is_url, open_storage, open_text, told, write_whole


def read_frame(place: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table that `write_frame` wrote, with its index."""
    filesystem, path = open_storage(place)
    return pd.read_parquet(path, columns=None if columns is None else list(columns), filesystem=filesystem)


def write_frame(place: str, frame: pd.DataFrame) -> None:
    """Write a table whole."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    write_whole(place, buffer.getvalue())


def read_text_table(place: str, **settings: Any) -> pd.DataFrame:
    """A table of text, packed or not, as `pandas.read_csv` reads it, with its errors or a StorageError."""
    if not is_url(place):
        return pd.read_csv(place, **settings)
    packing = settings.pop("compression", "infer")
    with told(place), open_text(place, compression=packing, **_encoding(settings)) as lines:
        table: pd.DataFrame = pd.read_csv(lines, **settings)
    return table


def _encoding(settings: dict[str, Any]) -> dict[str, str]:
    return {"encoding": settings.pop("encoding")} if "encoding" in settings else {}


def read_arrow(place: str, columns: Sequence[str], where: pc.Expression | None = None) -> pa.Table:
    """Columns of a Parquet file, or of all in a folder."""
    filesystem, path = open_storage(place)
    return pq.read_table(path, columns=list(columns), filters=where, filesystem=filesystem)
