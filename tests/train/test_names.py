from train.config import EvaluationConfig
from train.metrics import standard_metrics
from train.names import METRICS, interval_text, metric_name, model_name


def test_interval_text__estimate_and_what_cannot_be_told():
    interval = {"estimate": 0.7123, "low": 0.6, "high": 0.811, "note": None}
    assert interval_text(interval) == "0.712 (0.600 to 0.811)"
    assert interval_text(interval, signed=True) == "+0.712 (0.600 to 0.811)"
    assert interval_text({**interval, "low": None, "note": "one family"}) == "0.712 (one family)"
    nothing = {"estimate": None, "low": None, "high": None}
    assert interval_text({**nothing, "note": "a slope says nothing"}) == "a slope says nothing"
    assert interval_text(nothing) == "not defined"


def test_names__every_metric_has_words_and_unknown_keys_stand_for_themselves():
    assert set(standard_metrics(EvaluationConfig(prevalence=0.01))) <= set(METRICS)
    assert (metric_name("brier"), metric_name("new_metric")) == ("Brier score", "new metric")
    assert (model_name("cnn"), model_name("random_forest")) == ("network", "random forest")
