import pandas as pd

from etl.export.people_tables import kinship_table, metrics_table

SAMPLES = pd.DataFrame(
    {"sample_id": ["A", "B", "C"], "sample_index": [2, 0, 1], "call_rate": [0.9, 1.0, 0.95]}
)


def test_kinship_table__second_degree_of_people_who_stayed():
    pairs = pd.DataFrame(
        {"first": ["A", "A", "A"], "second": ["B", "C", "gone"], "kinship": [0.25, 0.06, 0.25]}
    )
    found = kinship_table(pairs, SAMPLES, min_kinship=0.0884)
    assert found.to_dict("list") == {"sample_index_1": [0], "sample_index_2": [2], "kinship": [0.25]}


def test_kinship_table__no_relatives():
    pairs = pd.DataFrame({"first": [], "second": [], "kinship": []}).astype({"first": str, "second": str})
    assert kinship_table(pairs, SAMPLES, min_kinship=0.0884).empty


def test_metrics_table__what_was_measured():
    assert metrics_table(SAMPLES).columns.tolist() == ["sample_index", "call_rate"]
