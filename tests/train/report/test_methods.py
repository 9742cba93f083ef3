from dataclasses import replace
from pathlib import Path

from train.record import read_record
from train.report.methods import kept_words, methods


def test_kept_words__convolutions_that_don_t_convince_are_switched_off(evaluated_run: Path):
    record = read_record(evaluated_run)
    facts = record.facts | {"convolutions_gain": 0.03, "convolutions_gain_deviation": 0.001}
    metrics = record.metrics | {"best_epoch": 7}
    assert kept_words(replace(record, facts=facts, metrics=metrics)).startswith(
        "the weights of epoch 7 were kept"
    )
    for changed in ({"convolutions_gain_deviation": 0.03}, {"convolutions_gain": 0.0}):
        words = kept_words(replace(record, facts=facts | changed, metrics=metrics))
        assert words.endswith("are switched off")
    paper = replace(record, facts=facts | {"direct_loss": None}, metrics=metrics)
    assert kept_words(paper).startswith("the weights of epoch 7")


def test_methods__says_what_the_facts_say_and_cites_that_alone(evaluated_run: Path):
    record = read_record(evaluated_run)
    texts = methods(record)
    assert "Folds 1, 2, 3, 4, 5, 6, 7 and 8 were used for training and 0 for validation; fold 9" in texts[0]
    assert "trained on 800 people and chosen on 100" in texts[0]
    cited = [found.split(",")[0] for found in texts[-1].split(". ")]
    assert cited == ["DeLong et al", "1988", "Efron and Tibshirani 1993", "Platt 1999"]
    calibrated = replace(
        record,
        calibration={"slope": 0.8, "intercept": -0.1, "n": 900},
        metrics=record.metrics | {"auroc": {"estimate": 0.7, "method": "DeLong, families clustered"}},
    )
    texts = methods(calibrated)
    assert "calibrated (Platt 1999) on 900 people" in texts[1]
    assert "slope 0.800, intercept −0.100" in texts[1]
    assert texts[-1].startswith("DeLong et al. 1988")
    assert "Platt 1999, Advances" in texts[-1]


def test_methods__several_networks_where_they_are_kept(evaluated_run: Path):
    record = read_record(evaluated_run)
    model = record.config["model"] | {"members": 5}
    facts = record.facts | {"config": record.config | {"model": model}}
    several = replace(record, facts=facts)
    kept = methods(replace(several, metrics=record.metrics | {"best_epoch": 3}))
    assert "The score is the mean logit of 5 networks, trained side by side" in kept[1]
    assert "Lakshminarayanan et al. 2017, Adv." in kept[-1]
    for other in (replace(several, metrics=record.metrics | {"best_epoch": 0}), record):
        assert "side by side" not in methods(other)[1]
