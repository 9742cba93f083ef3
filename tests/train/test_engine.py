from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.train.runs import ConfigMaker
from train.config import OptimizerConfig, TrainConfig
from train.convolutions import InputShape
from train.direct import fit_effects_of_run
from train.distributed import Comm
from train.engine import Scores, Trainer, case_loss, make_optimizer, person_losses, score
from train.errors import TrainingError
from train.fit import build_trainer, open_reader, training_batches
from train.model import GeneCNN
from train.prepare import prepare
from train.scaling import Batch


def trainer_of(config: TrainConfig) -> tuple[Trainer, Iterator[Batch]]:
    prepared = prepare(config, 1)
    reader = open_reader(config.data.dataset, prepared.manifest, config.data)
    path = fit_effects_of_run(prepared, reader, threads=1)
    return build_trainer(prepared, Comm(), path), training_batches(prepared, reader, 0, Comm())


def test_case_loss__unknown_labels_count_as_zero():
    # log(2) for each known person, over all four.
    loss = case_loss(torch.zeros(4), torch.tensor([1.0, 0.0, -1.0, -1.0]))
    assert loss.item() == pytest.approx(np.log(2) / 2)


def test_person_losses__by_hand():
    logit = np.log([3.0, 1.0])
    losses = person_losses(np.array([1, 0], np.int8), logit)
    assert losses == pytest.approx([-np.log(0.75), -np.log(0.5)])


def test_make_optimizer__rates_and_decay():
    model = GeneCNN(TrainConfig.model_fields["model"].default, InputShape(2, 0, ("1",) * 20))
    optimizer = make_optimizer(model, OptimizerConfig(learning_rate=0.1, weight_decay=0.3))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0]
    n_weights = sum(weight.numel() for group in optimizer.param_groups for weight in group["params"])
    assert n_weights == sum(weight.numel() for weight in model.parameters())
    assert isinstance(make_optimizer(model, OptimizerConfig(method="adam")), torch.optim.Adam)


def test_train_step__warm_up_and_clipping(make_config: ConfigMaker):
    optimizer = {
        "warmup_steps": 4,
        "learning_rate": 0.4,
        "clip_norm": 1e-6,
        "weight_decay": 0,
    }
    trainer, batches = trainer_of(make_config(optimizer=optimizer))
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    trainer.train_step(next(batches))
    batches.close()
    assert [group["lr"] for group in trainer.optimizer.param_groups] == pytest.approx([0.1, 0.1])
    moved = sum(
        (weight - old).square().sum() for weight, old in zip(trainer.model.parameters(), before, strict=True)
    )
    assert 0 < moved.sqrt().item() <= 0.1 * 1e-6 * 1.01


def test_train_step__not_finite_stops_before_the_weights_move(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config())
    batch = next(batches)
    batches.close()
    batch.value_N[0] = float("nan")
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    with pytest.raises(TrainingError, match=r"epoch 1, step 1: found gradient norm nan.*weights were not"):
        trainer.train_step(batch)
    for weight, old in zip(trainer.model.parameters(), before, strict=True):
        torch.testing.assert_close(weight, old, rtol=0, atol=0)


def test_score__leaves_the_model_as_it_was(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config())
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    scores = score(trainer, batches)
    assert (np.diff(scores.sample_M) > 0).all()
    assert len(scores.sample_M) == 768
    for name, tensor in trainer.model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_finish_epoch__plateau_best_weights_and_stop(make_config: ConfigMaker):
    config = make_config(
        optimizer={"warmup_steps": 0, "plateau_patience": 0, "learning_rate": 0.1},
        stopping={"patience": 2, "min_steps": 0},
    )
    trainer, batches = trainer_of(config)
    scores = score(trainer, batches)
    labels = np.resize(np.array([0, 1], np.int8), len(scores.sample_M))
    trainer.finish_epoch(0.7, scores, labels)
    with torch.no_grad():
        trainer.model.intercept += 1.0
    worse = type(scores)(scores.sample_M, scores.logit_M + 5)
    trainer.finish_epoch(0.7, worse, labels)
    assert [group["lr"] for group in trainer.optimizer.param_groups] == pytest.approx([0.05, 0.05])
    assert not trainer.progress.finished
    trainer.finish_epoch(0.7, worse, labels)
    assert trainer.progress.finished
    assert trainer.progress.best_epoch == 0
    torch.testing.assert_close(trainer.best_weights["intercept"], trainer.model.intercept.detach() - 1.0)


def test_finish_epoch__not_finite_says_nothing_of_the_weights(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config())
    batches.close()
    scores = Scores(np.array([0, 1]), np.array([0.0, np.nan]))
    with pytest.raises(TrainingError, match=r"validation loss nan, wanted finite numbers\. Try a lower"):
        trainer.finish_epoch(0.7, scores, np.array([0, 1], np.int8))


def test_begin__training_has_to_beat_gene_effects_by_more_than_chance(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config(stopping={"min_evidence": 1.64}))
    scores = score(trainer, batches)
    labels = trainer_labels(trainer, scores)
    trainer.begin(scores, labels)
    assert not trainer.best_weights["convolving"]
    # The same people get scores that are better by a hair each, or much better.
    toward = np.where(labels == 1, 1.0, -1.0)
    noise = np.random.default_rng(0).normal(0, 1, len(toward))
    trainer.finish_epoch(0.6, Scores(scores.sample_M, scores.logit_M + 0.01 * toward + noise), labels)
    assert not trainer.best_weights["convolving"]
    trainer.finish_epoch(0.5, Scores(scores.sample_M, scores.logit_M + toward), labels)
    assert trainer.best_weights["convolving"]
    assert trainer.progress.gain > 1.64 * trainer.progress.gain_deviation > 0


def test_finish_epoch__facts_are_those_of_the_weights_kept(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config())
    scores = score(trainer, batches)
    labels = trainer_labels(trainer, scores)
    trainer.begin(scores, labels)
    toward = np.where(labels == 1, 1.0, -1.0)
    entry = trainer.finish_epoch(0.6, Scores(scores.sample_M, scores.logit_M + 0.2 * toward), labels)
    # One person's loss is wrong by so much that the next epoch is better on average, and less sure.
    unsure = np.where(np.arange(len(labels)) == 0, -110, 1.0) * toward
    better = trainer.finish_epoch(0.5, Scores(scores.sample_M, scores.logit_M + unsure), labels)
    assert better["validation_loss"] < entry["validation_loss"] == trainer.progress.kept_loss
    assert trainer.progress.best_epoch == 0
    assert trainer.progress.gain > 1.64 * trainer.progress.gain_deviation


def test_begin__not_finite_is_told(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config())
    batches.close()
    with pytest.raises(TrainingError, match="validation loss nan before the first step, wanted finite"):
        trainer.begin(Scores(np.array([0, 1]), np.array([0.0, np.nan])), np.array([0, 1], np.int8))


def test_begin__nothing_to_train_without_convolutions(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config(model={"convolution": False}))
    scores = score(trainer, batches)
    trainer.begin(scores, trainer_labels(trainer, scores))
    assert trainer.progress.finished


def test_train_step__penalties_shrink_weights(make_config: ConfigMaker):
    norms = []
    for l2 in (0.0, 1.0):
        trainer, batches = trainer_of(make_config(optimizer={"l1": 0, "l2": l2, "clip_norm": None}))
        trainer.train_step(next(batches))
        batches.close()
        norms.append(trainer.model.rest.hidden.weight.norm().item())
    assert norms[1] < norms[0]


def trainer_labels(trainer: Trainer, scores: Scores) -> np.ndarray:
    """Labels that the scores predict a little."""
    rng = np.random.default_rng(1)
    return (rng.random(len(scores.sample_M)) < scores.probability_M).astype(np.int8)
