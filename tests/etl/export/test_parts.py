import pandas as pd
import pyarrow.parquet as pq

from contract.schema import SAMPLE_SCHEMA, check_schema
from etl.export.parts import write_people


def test_write_people__rows_in_place_with_ascending_features(tmp_path):
    samples = pd.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "sample_index": [5, 6, 7],
            "is_case": pd.array([1, None, 0], dtype="Int8"),
            "sex": ["female", None, "male"],
            "batch": ["x", "x", None],
            "ancestry": None,
            "family": [1, 1, 2],
            "covariates": [[1.0, 0.5], [0.0, 0.25], [0.0, 0.0]],
            "fold": 3,
            "part": 2,
            "place": [22, 20, 21],
        }
    )
    features = pd.DataFrame(
        {"sample_index": [7, 5, 7, 5], "index": [9, 8, 2, 1], "value": [1.0, 2.0, 3.0, 4.0]}
    )
    written = write_people(samples, features, str(tmp_path), 2).iloc[0]
    assert (written["path"], written["rows"], written["row_groups"]) == (
        "samples/fold=3/part-00002.parquet",
        3,
        2,
    )
    file = pq.ParquetFile(tmp_path / written["path"])
    check_schema(file.schema_arrow, SAMPLE_SCHEMA, "part")
    rows = file.read().to_pylist()
    assert [row["sample_id"] for row in rows] == ["b", "c", "a"]
    assert [row["indices"] for row in rows] == [[], [2, 9], [1, 8]]
    assert [row["values"] for row in rows] == [[], [3.0, 1.0], [4.0, 2.0]]
    assert [row["is_case"] for row in rows] == [None, 0, 1]
    assert rows[0]["covariates"] == [0.0, 0.25]
    assert (rows[0]["sex"], rows[1]["batch"]) == (None, None)
