"""What an executor does: people and their features into one part file. Imports neither Hail nor Spark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from contract.dataset import part_path, write_part
from contract.schema import SAMPLE_SCHEMA

PART_COLUMNS = "fold int, part int, path string, rows long, row_groups long, sha256 string"


def write_people(
    samples: pd.DataFrame, features: pd.DataFrame, root: str, row_group_size: int
) -> pd.DataFrame:
    """Write one part file.

    Parameters
    ----------
    samples
        People of one fold and part: the sample columns of the contract, fold, part, and place (row order).
    features
        Their non-zero features: sample_index, index, value, in any order. People without any keep their row.
    root
        Staging folder of the dataset.
    row_group_size
        Rows of a row group.

    Returns
    -------
    One row with the columns of `PART_COLUMNS`.
    """
    samples = samples.sort_values("place", ignore_index=True)
    fold, part = int(samples["fold"].iloc[0]), int(samples["part"].iloc[0])
    rows = _with_features(samples, features)
    written = write_part(root, part_path(fold, part), rows, row_group_size)
    return pd.DataFrame([{"fold": fold, "part": part, **written.model_dump()}])


def _with_features(samples: pd.DataFrame, features: pd.DataFrame) -> pa.Table:
    place = pd.Series(samples.index, index=samples["sample_index"])
    owner = place.reindex(features["sample_index"]).to_numpy(dtype=np.int64)
    index = features["index"].to_numpy(dtype=np.int32)
    order = np.lexsort((index, owner))
    offsets = pa.array(np.searchsorted(owner[order], np.arange(len(samples) + 1)), pa.int32())
    values = features["value"].to_numpy(dtype=np.float32)
    lists = {
        "indices": pa.ListArray.from_arrays(offsets, pa.array(index[order])),
        "values": pa.ListArray.from_arrays(offsets, pa.array(values[order])),
    }
    columns = [
        lists[field.name]
        if field.name in lists
        else pa.array(samples[field.name], type=field.type, from_pandas=True)
        for field in SAMPLE_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SAMPLE_SCHEMA)
