"""One step, one epoch's judgement, one exact pass: what a rank does with a model; `train.loop` repeats it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.profiler import record_function
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from train.config import OptimizerConfig, TrainConfig
from train.distributed import Comm
from train.ensemble import Network, members_of
from train.errors import TrainingError
from train.layers import begin_step, person_keys
from train.metrics import auroc
from train.people import UNKNOWN
from train.precision import SMALLEST_SCALE, gradient_scaler, low_precision
from train.pulse import PULSE
from train.scaling import Batch, Densifier

TO_DEVICE, FORWARD, BACKWARD, AVERAGING, OPTIMIZER = PARTS = (
    "batch to the device",
    "forward pass and loss",
    "backward pass",
    "averaging gradients",
    "optimizer",
)
"""Parts of a step, as `train.profile` finds them in a profile."""


@dataclass
class Progress:
    """How far a run has come; `history` holds one entry per finished epoch.

    `best_loss` is the lowest validation loss; `best_epoch` and `kept_loss` are those of the weights that are
    kept. `start_loss` is the validation loss before the first step, of a model that starts from something;
    `gain` is how much lower that of the kept weights is (of the last better epoch, while none convinces), and
    `gain_deviation` the standard error of that over people.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    loss_sum: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = -1
    kept_loss: float = math.inf
    stale_epochs: int = 0
    start_loss: float | None = None
    gain: float = 0.0
    gain_deviation: float = 0.0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The step that comes next, as sentences name it."""
        return f"epoch {self.epoch + 1}, step {self.step + 1}"


@dataclass(frozen=True)
class Scores:
    """Logits of M people, ascending by sample_index, the same on every rank."""

    sample_M: NDArray[np.int64]
    logit_M: NDArray[np.float64]

    @property
    def probability_M(self) -> NDArray[np.float64]:
        """Probability of being a case that the model gives each person."""
        return np.asarray(1 / (1 + np.exp(-self.logit_M)))


class Trainer:
    """A model, its optimizer and schedule on one rank, and how to save, load and step them.

    `batch_size` counts the people of a step over all ranks.
    """

    def __init__(self, model: Network, config: TrainConfig, comm: Comm, densify: Densifier, batch_size: int):
        self.model, self.config, self.comm, self.densify = model, config, comm, densify
        self.batch_size, self.device = batch_size, densify.device
        if config.run.compile:
            for part in (part for member in members_of(model) for part in member.heavy_parts):
                part.compile()
        self.replica = comm.wrap(model, half=config.run.half_gradients)
        self.optimizer = make_optimizer(model, config.optimizer)
        self.full_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.schedule = ReduceLROnPlateau(
            self.optimizer,
            factor=config.optimizer.plateau_factor,
            patience=config.optimizer.plateau_patience,
            min_lr=config.optimizer.minimum_rate,
        )
        self.progress = Progress()
        self.best_weights = _copy(model.state_dict())
        self.start_loss_M: NDArray[np.float64] = np.empty(0)
        self.low_precision = low_precision(config.run.precision, self.device)
        self.scaler = gradient_scaler(self.low_precision, self.device)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "model": self.model.state_dict(),
            "best_weights": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
            "start_loss_M": torch.from_numpy(self.start_loss_M),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.model.load_state_dict(state["model"])
        self.best_weights = state["best_weights"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        self.start_loss_M = state["start_loss_M"].numpy()

    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """Logits of a batch that is on the device (B); of an ensemble in training each member's (K, B)."""
        with torch.autocast(self.device.type, self.low_precision, enabled=self.low_precision is not None):
            # Where nothing is convolved, a person is scored once: as a bundle scores, to the last bit.
            x = self.densify.sparse(batch) if self.model.has_rest else self.densify(batch)
            logit_B: Tensor = network(x, batch.covariates_BP, batch.group_B)
        return logit_B.float()

    def train_step(self, batch: Batch) -> tuple[float, float]:
        """One optimizer step on this rank's people; returns its part of the loss and the gradient's norm.

        The parts of all ranks add up to the mean loss of the step's people.

        Members of an ensemble each take the step that they would take alone: losses are added, not averaged,
        which would divide their rates, and gradients are clipped one member at a time. The loss returned is
        the members' mean, the norm the largest.

        Raises
        ------
        TrainingError
            On every rank, before the weights move, if the gradient is not finite anywhere.
        """
        self._warm_up()
        keys = person_keys(self.config.seed, self.progress.total_steps, batch.sample_B.numpy())
        begin_step(self.model, keys, self.comm.add_up if self.comm.size > 1 else None)
        share = len(batch.sample_B) / self.batch_size
        with record_function(TO_DEVICE):
            batch = batch.to(self.device)
        self.optimizer.zero_grad()
        with record_function(FORWARD):
            loss = share * case_loss(self.logits(self.replica, batch), batch.is_case_B)
        members = members_of(self.model)
        PULSE.mark(f"{self.progress.place} (averaging gradients)", computes=False, waits=True)
        # Gradients are averaged over ranks, which may have unequal shares of the step.
        with record_function(BACKWARD):
            total = self.comm.size * len(members) * loss + self._penalty()
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        with record_function(AVERAGING):
            self.comm.average_gradients(self.model)
        self.scaler.unscale_(self.optimizer)
        limit = self.config.optimizer.clip_norm or math.inf
        norms = [nn.utils.clip_grad_norm_(member.parameters(), limit) for member in members]
        norm = torch.stack(norms).max().item()
        # What float16 could not hold costs its step and half of the scale, unless the scale is small already.
        held = self.scaler.is_enabled() and self.scaler.get_scale() > SMALLEST_SCALE
        if not math.isfinite(norm) and not held:
            found = f"gradient norm {norm}, loss {loss.item()} on rank {self.comm.rank}"
            raise TrainingError(self._blame(found, wanted="finite numbers; the weights were not changed"))
        with record_function(OPTIMIZER):
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss.item(), norm

    def begin(self, scores: Scores, is_case_M: NDArray[np.int8]) -> None:
        """Note how well the model does before its first step: what training has to improve on."""
        known = is_case_M != UNKNOWN
        self.start_loss_M = person_losses(is_case_M[known], scores.logit_M[known])
        progress = self.progress
        progress.start_loss = progress.best_loss = progress.kept_loss = float(self.start_loss_M.mean())
        if not math.isfinite(progress.start_loss):
            found = f"validation loss {progress.start_loss} before the first step"
            raise TrainingError(self._blame(found, wanted="finite numbers"))
        self.best_weights = self.model.without_rest(_copy(self.model.state_dict()))
        progress.finished = not self.model.has_rest

    def finish_epoch(self, loss: float, scores: Scores, is_case_M: NDArray[np.int8]) -> dict[str, float]:
        """Judge the epoch by the validation people; the same on every rank because its inputs are."""
        known = is_case_M != UNKNOWN
        loss_M = person_losses(is_case_M[known], scores.logit_M[known])
        validation_loss = float(loss_M.mean())
        if not (math.isfinite(loss) and math.isfinite(validation_loss)):
            found = f"training loss {loss}, validation loss {validation_loss}"
            raise TrainingError(self._blame(found, wanted="finite numbers"))
        progress = self.progress
        better = validation_loss < progress.best_loss - self.config.stopping.min_delta
        if better:
            progress.best_loss = validation_loss
            if self._convinces(loss_M):
                progress.best_epoch, progress.kept_loss = progress.epoch, validation_loss
                self.best_weights = _copy(self.model.state_dict())
        entry = {
            "epoch": progress.epoch,
            "training_loss": loss,
            "validation_loss": validation_loss,
            "validation_auroc": auroc(is_case_M[known], scores.logit_M[known]),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        stopping = self.config.stopping
        settled = progress.total_steps >= max(stopping.min_steps, self.config.optimizer.warmup_steps)
        if settled:
            self.schedule.step(validation_loss)
        progress.stale_epochs = progress.stale_epochs + 1 if settled and not better else 0
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        progress.finished = (
            progress.stale_epochs >= stopping.patience or progress.epoch >= stopping.max_epochs
        )
        progress.history.append(entry)
        return entry

    def _convinces(self, loss_M: NDArray[np.float64]) -> bool:
        """Whether an epoch is better than the start by more than validation people differ by chance."""
        if self.progress.start_loss is None:
            return True
        progress, gain_M = self.progress, self.start_loss_M - loss_M
        gain, deviation = float(gain_M.mean()), float(gain_M.std(ddof=1) / math.sqrt(len(gain_M)))
        convinces = gain > self.config.stopping.min_evidence * deviation
        if convinces or progress.best_epoch < 0:
            progress.gain, progress.gain_deviation = gain, deviation
        return convinces

    def _penalty(self) -> Tensor:
        """L1 and L2 of the weights that feed into later layers; 0 where none is asked for."""
        l1, l2 = self.config.optimizer.l1, self.config.optimizer.l2
        total = torch.zeros((), device=self.device)
        if l1 or l2:
            for name, weight in itertools.chain(*(m.named_parameters() for m in members_of(self.model))):
                if weight.dim() > 1 and not name.startswith("head"):
                    total = total + l1 * weight.abs().sum() + l2 * weight.square().sum()
        return total

    def _warm_up(self) -> None:
        steps, settings = self.progress.total_steps, self.config.optimizer
        if steps < settings.warmup_steps:
            for group, rate in zip(self.optimizer.param_groups, self.full_rates, strict=True):
                group["lr"] = rate * (steps + 1) / settings.warmup_steps
        elif steps and steps % settings.decay_steps == 0:
            for group in self.optimizer.param_groups:
                group["lr"] *= settings.decay_factor

    def _blame(self, found: str, *, wanted: str) -> str:
        return (
            f"{self.progress.place}: found {found}, wanted {wanted}. "
            "Try a lower optimizer.learning_rate or clip_norm"
        )


def make_optimizer(model: Network, config: OptimizerConfig) -> Optimizer:
    """Gradient descent with momentum, or Adam; norms and biases have no decay."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in trained if weight.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in trained if weight.dim() <= 1]},
    ]
    groups = [group for group in groups if group["params"]]
    if config.method == "adam":
        return Adam(groups, lr=config.learning_rate)
    return SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def case_loss(logit_B: Tensor, is_case_B: Tensor) -> Tensor:
    """Mean cross-entropy over the batch; people without a label count as zero, so that ranks weigh alike.

    Of logits of several members (K, B) it is the mean over members too.
    """
    known_B = (is_case_B != UNKNOWN).float()
    target_B = is_case_B.clamp(min=0).expand_as(logit_B)
    each_B = binary_cross_entropy_with_logits(logit_B, target_B, reduction="none")
    return (each_B * known_B).mean()


def person_losses(is_case_M: NDArray[np.int8], logit_M: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross-entropy of each person, who has a label."""
    return np.asarray(np.logaddexp(0, logit_M) - is_case_M * logit_M)


def score(trainer: Trainer, batches: Iterator[Batch]) -> Scores:
    """One exact pass: this rank's batches through the model, gathered from all ranks by sample_index."""
    samples, logits = [np.empty(0, np.int64)], [np.empty(0)]
    trainer.model.eval()
    with torch.no_grad():
        for batch in batches:
            PULSE.renew()
            logit_B = trainer.logits(trainer.model, batch.to(trainer.device))
            samples.append(batch.sample_B.numpy())
            logits.append(logit_B.double().cpu().numpy())
    sample_M = trainer.comm.gather(np.concatenate(samples))
    logit_M = trainer.comm.gather(np.concatenate(logits))
    order = np.argsort(sample_M)
    return Scores(sample_M[order], logit_M[order])


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
