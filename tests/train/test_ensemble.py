import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.runs import ConfigMaker, fit_interrupted, fit_quietly, history_of, series_of
from train.bundle import load_bundle
from train.calibration import load_calibration
from train.config import GeneCNNConfig, ModelConfig, PaperCNNConfig, TrainConfig
from train.convolutions import InputShape
from train.data import open_reader
from train.direct import fit_effects_of_run
from train.distributed import Comm
from train.engine import Trainer, case_loss, score
from train.ensemble import Ensemble, build_model, members_of
from train.fit import build_trainer, scoring_batches, training_batches
from train.model import GeneCNN, PaperCNN
from train.prepare import prepare
from train.run_folder import BUNDLE_NAME
from train.scaling import Batch

SHAPE = InputShape(2, 1, ("1",) * 30 + ("2",) * 10)
CONFIGS: list[ModelConfig] = [
    GeneCNNConfig(window=4, members=3),
    PaperCNNConfig(filters=4, dense=8, members=3),
]
KINDS: list[dict[str, object]] = [{"kind": "gene_cnn"}, {"kind": "paper", "dense": 8}]
PENALTIES = {"l1": 1e-3, "l2": 1e-2, "clip_norm": 0.1, "weight_decay": 0.01, "warmup_steps": 2}


def steps_of(config: TrainConfig, n: int) -> tuple[Trainer, list[Batch]]:
    """A fresh trainer and its first batches."""
    prepared = prepare(config, 1)
    reader = open_reader(config.data.dataset, prepared.manifest, config.data)
    path = fit_effects_of_run(prepared, reader, threads=1) if config.model.kind == "gene_cnn" else None
    batches = training_batches(prepared, reader, 0, Comm())
    found = [next(batches) for _ in range(n)]
    batches.close()
    return build_trainer(prepared, Comm(), path), found


def take(trainer: Trainer, batches: list[Batch]) -> None:
    trainer.model.train()
    for batch in batches:
        trainer.train_step(batch)
        trainer.progress.total_steps += 1


@pytest.mark.parametrize("kind", [GeneCNN, PaperCNN])
def test_build_model__one_member_is_the_network_itself(kind: type[GeneCNN] | type[PaperCNN]):
    config = GeneCNNConfig() if kind is GeneCNN else PaperCNNConfig()
    model = build_model(config, SHAPE)
    assert type(model) is kind
    assert members_of(model) == [model]


def test_build_model__without_convolutions_one_stands_for_all():
    assert isinstance(build_model(GeneCNNConfig(convolution=False, members=5), SHAPE), GeneCNN)


@pytest.mark.parametrize("config", CONFIGS)
def test_ensemble__mean_logit_of_members_that_start_apart(config: ModelConfig):
    torch.manual_seed(0)
    model = build_model(config, SHAPE)
    assert isinstance(model, Ensemble)
    for member in members_of(model):
        torch.nn.init.normal_(member.head.weight)
    inputs = torch.randn(6, 2, 40), torch.randn(6, 1)
    assert model(*inputs).shape == (3, 6)
    model.eval()
    each_KB = torch.stack([member(*inputs) for member in members_of(model)])
    assert (each_KB.std(0) > 1e-3).all()
    torch.testing.assert_close(model(*inputs), each_KB.mean(0))
    assert model.hidden_units(inputs[0]).shape == (6, 24)


@pytest.mark.parametrize("config", CONFIGS)
def test_ensemble__gradients_reach_every_weight(config: ModelConfig):
    torch.manual_seed(0)
    model = build_model(config, SHAPE)
    for member in members_of(model):
        torch.nn.init.normal_(member.head.weight)
        if isinstance(member, GeneCNN):
            member.direct.reader_CG.normal_()
    logit_KB = model(torch.randn(16, 2, 40), torch.randn(16, 1))
    case_loss(logit_KB, torch.arange(16.0) % 2).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_ensemble__convolutions_of_all_members_are_switched_off():
    torch.manual_seed(0)
    model = build_model(CONFIGS[0], SHAPE).eval()
    for member in members_of(model):
        torch.nn.init.ones_(member.head.weight)
    inputs = torch.randn(4, 2, 40), torch.zeros(4, 1)
    assert model(*inputs).abs().max() > 1e-3
    model.load_state_dict(model.without_rest(model.state_dict()))
    assert model(*inputs).tolist() == [0.0] * 4
    assert model.hidden_units(inputs[0]).shape == (4, 0)
    paper = build_model(CONFIGS[1], SHAPE)
    assert paper.without_rest(paper.state_dict()).keys() == paper.state_dict().keys()


def test_case_loss__mean_over_members():
    logit_KB = torch.tensor([[0.0, 0.0, 9.0], [np.log(3.0), -np.log(3.0), 9.0]])
    loss = case_loss(logit_KB, torch.tensor([1.0, 0.0, -1.0]))
    assert loss.item() == pytest.approx((2 * np.log(2) - 2 * np.log(0.75)) / 6)


@pytest.mark.parametrize("method", ["sgd", "adam"])
@pytest.mark.parametrize("kind", KINDS)
def test_train_step__each_member_learns_as_if_alone(
    make_config: ConfigMaker, kind: dict[str, object], method: str
):
    # Without dropout, which is drawn for one member after the other.
    model, optimizer = {**kind, "dropout": 0.0}, {**PENALTIES, "method": method}
    together, batches = steps_of(make_config(model={**model, "members": 3}, optimizer=optimizer), 5)
    starts = [copy.deepcopy(member.state_dict()) for member in members_of(together.model)]
    take(together, batches)
    for start, member in zip(starts, members_of(together.model), strict=True):
        alone, _ = steps_of(make_config(model=model, optimizer=optimizer), 0)
        alone.model.load_state_dict(start)
        take(alone, batches)
        for name, weight in alone.model.state_dict().items():
            torch.testing.assert_close(member.state_dict()[name], weight, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_train_step__first_member_is_the_network_of_the_same_seed(
    make_config: ConfigMaker, kind: dict[str, object]
):
    trained = []
    for members in (1, 2):
        trainer, batches = steps_of(make_config(model={**kind, "members": members}), 5)
        take(trainer, batches)
        trained.append([copy.deepcopy(member.state_dict()) for member in members_of(trainer.model)])
    (alone,), (first, second) = trained
    for name, weight in alone.items():
        torch.testing.assert_close(first[name], weight, msg=name)
    hidden = "rest.hidden.weight" if kind["kind"] == "gene_cnn" else "dense.weight"
    assert not torch.allclose(second[hidden], alone[hidden])


@pytest.mark.parametrize(
    ("sections", "training", "validation"),
    [
        ({}, [0.462964, 0.465139, 0.459847], [0.553721, 0.553433, 0.552831]),
        (
            {
                "model": {"kind": "paper", "dense": 8},
                "optimizer": {"learning_rate": 1e-2, "l1": 1e-3, "l2": 1e-2},
            },
            [0.746348, 0.739983, 0.720865],
            [0.686782, 0.687528, 0.682354],
        ),
    ],
)
def test_fit__one_member_learns_as_a_network_alone_was_recorded(
    make_config: ConfigMaker, sections: dict[str, object], training: list[float], validation: list[float]
):
    history = history_of(fit_quietly(make_config(stopping={"max_epochs": 3}, **sections)))
    assert [entry["training_loss"] for entry in history] == pytest.approx(training, abs=2e-4)
    assert [entry["validation_loss"] for entry in history] == pytest.approx(validation, abs=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_fit__interrupted_ensemble_goes_on_with_the_same_series(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: dict[str, object]
):
    settings = {"model": {**kind, "members": 2}, "stopping": {"max_epochs": 3, "min_evidence": 0}}
    whole = fit_quietly(make_config(**settings, run={"out": str(tmp_path / "whole")}))
    config = make_config(**settings, run={"agree_seconds": 0})
    fit_interrupted(config, 15, monkeypatch)
    resumed = fit_quietly(config)
    np.testing.assert_allclose(series_of(resumed), series_of(whole), rtol=1e-12)
    weights = [load_bundle(run / BUNDLE_NAME).weights for run in (whole, resumed)]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight)


def test_fit__bundle_of_an_ensemble_scores_as_it_was_validated(make_config: ConfigMaker):
    config = make_config(model={"kind": "paper", "dense": 8, "members": 3}, stopping={"max_epochs": 2})
    run = fit_quietly(config)
    bundle = load_bundle(run / BUNDLE_NAME)
    assert isinstance(bundle.model(), Ensemble)
    prepared = prepare(config, 1)
    reader = open_reader(config.data.dataset, prepared.manifest, config.data)
    trainer = build_trainer(prepared, Comm(), None)
    trainer.model.load_state_dict(bundle.weights)
    scores = score(trainer, scoring_batches(prepared, reader, prepared.validation_groups, Comm()))
    is_case_M = prepared.people.is_case_M[prepared.people.rows(scores.sample_M)]
    loss = np.mean(np.logaddexp(0, scores.logit_M) - is_case_M * scores.logit_M)
    assert loss == pytest.approx(bundle.facts.validation_loss, rel=1e-6)


def test_fit__ensemble_that_does_not_convince_is_the_direct_path(make_config: ConfigMaker, tmp_path: Path):
    runs = [
        fit_quietly(
            make_config(
                model={"members": members},
                stopping={"max_epochs": 2, "min_evidence": 50},
                run={"out": str(tmp_path / f"run{members}")},
            )
        )
        for members in (1, 2)
    ]
    alone, ensemble = (json.loads((run / BUNDLE_NAME / "bundle.json").read_text()) for run in runs)
    assert alone["best_epoch"] == ensemble["best_epoch"] == 0
    assert ensemble["validation_loss"] == pytest.approx(alone["validation_loss"], rel=1e-6)
    slopes = [load_calibration(run / BUNDLE_NAME).slope for run in runs]
    assert slopes[0] == pytest.approx(slopes[1])
    assert slopes[0] != 1
