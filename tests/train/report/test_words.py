import pytest

from train.names import metric_name, model_name
from train.report.words import cell_look, flat, interval_text, joined, range_text, sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"estimate": 0.7123, "low": 0.6, "high": 0.8}, "0.712 (0.600 to 0.800)"),
        ({"estimate": -0.01, "low": -0.03, "high": 0.0}, "−0.010 (−0.030 to 0.000)"),
        ({"estimate": 0.5, "low": None, "high": None, "note": "too few people"}, "0.500 (too few people)"),
        ({"estimate": 0.5, "low": float("nan"), "high": 0.6}, "0.500 (no interval)"),
        ({"estimate": None, "note": "the scores do not vary"}, "the scores do not vary"),
        ({"estimate": float("nan")}, "not measured"),
        (None, "not measured"),
        (0.25, "0.250"),
        (-0.0001, "0.000"),
    ],
)
def test_interval_text__as_people_read_it(value, text):
    assert interval_text(value) == text


def test_range_text__empty_beside_a_bare_number():
    assert range_text(0.25) == ""
    assert range_text({"estimate": 0.5, "low": 0.4, "high": 0.6}) == "0.400 to 0.600"


def test_names__a_key_without_words_speaks_for_itself():
    assert (model_name("cnn"), model_name("new_model")) == ("network", "new model")
    assert (metric_name("f1"), metric_name("new_metric")) == ("F1", "new metric")


def test_flat__paths_of_a_tree():
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}


def test_cell_look__numbers_stay_on_one_line():
    assert [cell_look(text) for text in ("0.5 (0.4 to 0.6)", "−0.1", "too few people", "")] == [
        *("interval", "interval"),
        *("words", "words"),
    ]


def test_sentence__capital_and_full_stop():
    assert [sentence(text) for text in ("a b", "A.", "", None)] == ["A b.", "A.", "", ""]


def test_joined__as_a_sentence_lists():
    assert [joined(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
