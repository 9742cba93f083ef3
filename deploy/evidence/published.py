"""Training as the paper's public code does it, and a light network for where its own takes hours.

After CNN_model.py of larngroup/CNNSCZ (Henriques et al. 2025, doi 10.1515/jib-2024-0057): Adam with a rate of
1e-4, batches of 32, L1 = L2 = 0.01 on the kernels, dropout of one half, at most 50 epochs, patience of 5 on
the loss, and the epoch of the highest accuracy kept.

Axes in names: B people, F features, H hidden units, E epochs, M people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from contract.config import ConfigModel
from train.config import PaperCNNConfig
from train.convolutions import InputShape
from train.model import PaperCNN

Values = NDArray[np.float64]
Rows = NDArray[np.int64]
NetworkName = Literal["dense", "published"]


class Training(ConfigModel):
    """Settings of the public code."""

    network: NetworkName = Field(
        "dense", description="published: the paper's CNN; dense: its dense layer without the convolutions"
    )
    hidden: int = Field(16, ge=1, description="units of the dense layer of `dense`; the paper's has 128")
    learning_rate: float = Field(1e-4, gt=0)
    batch_size: int = Field(32, ge=2)
    penalty: float = Field(0.01, ge=0, description="of both L1 and L2, on kernels")
    dropout: float = Field(0.5, ge=0, lt=1)
    max_epochs: int = Field(50, ge=1)
    patience: int = Field(5, ge=1, description="epochs without a lower loss of the choosing people")


@dataclass(frozen=True)
class Standardised:
    """Features of everybody, each less its mean and over its deviation in the people who set the scale.

    The public code divides by 0 where a feature never varies; here such features are silent.
    """

    x_MF: csr_matrix
    mean_F: Tensor
    factor_F: Tensor

    @classmethod
    def by(cls, x_MF: csr_matrix, rows: Rows) -> Standardised:
        """Scale by these people alone (sample standard deviation, as pandas has it)."""
        known = x_MF[rows]
        mean_F = np.asarray(known.mean(axis=0), dtype=np.float64).ravel()
        square_F = np.asarray(known.multiply(known).mean(axis=0), dtype=np.float64).ravel()
        variance_F = (square_F - mean_F**2) * len(rows) / max(len(rows) - 1, 1)
        varies_F = variance_F > 1e-12
        factor_F = np.where(varies_F, 1 / np.sqrt(np.where(varies_F, variance_F, 1.0)), 0.0)
        return cls(x_MF, torch.from_numpy(mean_F).float(), torch.from_numpy(factor_F).float())

    def sparse(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Feature, scaled value and start of each person's entries that are not zero."""
        part = self.x_MF[rows]
        feature = torch.from_numpy(part.indices.astype(np.int64))
        value = torch.from_numpy(part.data.astype(np.float32)) * self.factor_F[feature]
        return feature, value, torch.from_numpy(part.indptr[:-1].astype(np.int64))

    def dense(self, rows: Rows) -> Tensor:
        """All features of some people, scaled."""
        x_BF = torch.from_numpy(self.x_MF[rows].toarray().astype(np.float32))
        return (x_BF - self.mean_F) * self.factor_F


class DenseNetwork(nn.Module):
    """One hidden layer on everything: where the paper's network has 99.98 % of its weights."""

    def __init__(self, n_features: int, training: Training) -> None:
        super().__init__()
        bound = (6 / (n_features + training.hidden)) ** 0.5  # Glorot, as Keras starts
        self.kernel_FH = nn.Parameter(torch.empty(n_features, training.hidden).uniform_(-bound, bound))
        self.bias_H = nn.Parameter(torch.zeros(training.hidden))
        self.norm = nn.BatchNorm1d(training.hidden)
        self.dropout = nn.Dropout(training.dropout)
        self.head = nn.Linear(training.hidden, 1)

    def forward(self, features: Standardised, rows: Rows) -> Tensor:
        """Logits of some people."""
        feature, value, starts = features.sparse(rows)
        sum_BH = functional.embedding_bag(
            feature, self.kernel_FH, starts, mode="sum", per_sample_weights=value
        )
        at_zero_H = (features.mean_F * features.factor_F) @ self.kernel_FH
        hidden_BH = self.norm(torch.relu(sum_BH - at_zero_H + self.bias_H))
        logit_B: Tensor = self.head(self.dropout(hidden_BH)).squeeze(1)
        return logit_B

    def kernels(self) -> list[Tensor]:
        """Weights under L1 and L2."""
        return [self.kernel_FH]


class PublishedNetwork(nn.Module):
    """The paper's network."""

    def __init__(self, n_features: int, training: Training) -> None:
        super().__init__()
        shape = InputShape(1, 0, ("chr1",) * n_features)
        self.network = PaperCNN(PaperCNNConfig(dropout=training.dropout), shape)

    def forward(self, features: Standardised, rows: Rows) -> Tensor:
        """Logits of some people."""
        logit_B: Tensor = self.network(features.dense(rows)[:, None], torch.empty(len(rows), 0))
        return logit_B

    def kernels(self) -> list[Tensor]:
        """Weights under L1 and L2: of convolutions and the dense layer."""
        inside = [*self.network.convolutions.parameters(), self.network.dense.weight]
        return [weight for weight in inside if weight.ndim > 1]


@dataclass
class Course:
    """What each epoch of a training left: probability of everybody watched, and the penalty."""

    rows: Rows
    probability_EM: list[Values] = field(default_factory=list)
    penalty_E: list[float] = field(default_factory=list)

    def chosen(self, is_case_M: NDArray[np.int8], choosing: Rows, patience: int) -> int:
        """Epoch that the choosing people make the public code keep.

        Training ends once their loss, penalty included, was not lower for `patience` epochs; of the epochs
        until then, the first with their highest accuracy.
        """
        at = np.flatnonzero(np.isin(self.rows, choosing))
        labels = is_case_M[self.rows[at]]
        probability_EM = np.array(self.probability_EM)[:, at]
        last = stops_at(self._losses(probability_EM, labels), patience)
        end = len(probability_EM) if last is None else last + 1
        accuracy_E = ((probability_EM[:end] >= 0.5) == (labels == 1)).mean(axis=1)
        return int(np.argmax(accuracy_E))

    def is_over(self, is_case_M: NDArray[np.int8], choosing: Rows, patience: int) -> bool:
        """Whether these people would have ended training by now."""
        at = np.flatnonzero(np.isin(self.rows, choosing))
        losses_E = self._losses(np.array(self.probability_EM)[:, at], is_case_M[self.rows[at]])
        return stops_at(losses_E, patience) is not None

    def _losses(self, probability_EM: Values, labels: NDArray[np.int8]) -> Values:
        right_EM = np.where(labels == 1, probability_EM, 1 - probability_EM)
        return np.asarray(-np.log(np.clip(right_EM, 1e-7, 1)).mean(axis=1) + np.array(self.penalty_E))


@dataclass(frozen=True)
class People:
    """Rows to train on, and parts that are watched: training goes on until each would have ended it."""

    training: Rows
    watching: tuple[Rows, ...]


def stops_at(losses_E: Values, patience: int) -> int | None:
    """Epoch after which early stopping ends a training with these losses; none where it goes on."""
    best, waited = np.inf, 0
    for epoch, loss in enumerate(losses_E):
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited >= patience:
            return epoch
    return None


def train_course(
    features: Standardised, is_case_M: NDArray[np.int8], training: Training, people: People, seed: int
) -> Course:
    """Train, and score the people watched after every epoch.

    Parameters
    ----------
    features
        Of everybody.
    is_case_M
        Status of everybody, 1 or 0.
    training
        Settings.
    people
        Who is trained on, and who may end training.
    seed
        Of weights, dropout and order.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 13])
    kind = PublishedNetwork if training.network == "published" else DenseNetwork
    network = kind(features.x_MF.shape[1], training)
    optimizer = torch.optim.Adam(network.parameters(), training.learning_rate, eps=1e-7, fused=True)
    label_M = torch.from_numpy(is_case_M.astype(np.float32))
    course = Course(np.concatenate(people.watching))
    for _ in range(training.max_epochs):
        network.train()
        order = rng.permutation(people.training)
        for start in range(0, len(order) - 1, training.batch_size):
            rows = order[start : start + training.batch_size]
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(network(features, rows), label_M[rows]).backward()
            _penalise(network.kernels(), training.penalty)
            optimizer.step()
        network.eval()
        course.probability_EM.append(_probability(network, features, course.rows))
        course.penalty_E.append(_penalty(network.kernels(), training.penalty))
        if all(course.is_over(is_case_M, part, training.patience) for part in people.watching):
            break
    return course


def _penalise(kernels: list[Tensor], penalty: float) -> None:
    """Add the gradient of penalty × (|w| + w²), without the cost of a graph."""
    with torch.no_grad():
        for kernel in kernels:
            assert kernel.grad is not None
            kernel.grad.add_(kernel.sign(), alpha=penalty).add_(kernel, alpha=2 * penalty)


@torch.no_grad()
def _penalty(kernels: list[Tensor], penalty: float) -> float:
    return penalty * sum(float(kernel.abs().sum() + kernel.square().sum()) for kernel in kernels)


@torch.no_grad()
def _probability(network: nn.Module, features: Standardised, rows: Rows) -> Values:
    parts = [network(features, rows[start : start + 256]) for start in range(0, len(rows), 256)]
    return torch.sigmoid(torch.cat(parts).double()).numpy()
