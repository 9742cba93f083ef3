import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch.nn import functional

from deploy.evidence.protocols import PROTOCOLS, Cohort, run_protocols, split_people
from deploy.evidence.published import (
    Course,
    DenseNetwork,
    People,
    Standardised,
    Training,
    stops_at,
    train_course,
)


def cohort(n: int = 240, n_features: int = 40) -> Cohort:
    rng = np.random.default_rng(1)
    x = rng.poisson(0.3, (n, n_features)).astype(np.float32)
    is_case = (x[:, 0] + 0.3 * rng.normal(size=n) > 0.3).astype(np.int8)
    return Cohort(csr_matrix(x), is_case, (np.arange(n) // 2).astype(np.int32))


def test_split_people__same_test_people_and_sizes():
    family = cohort().family_M
    honest, random = split_people(family, 3)
    assert np.array_equal(honest.test, random.test)
    assert [len(honest.training), len(honest.validation)] == [len(random.training), len(random.validation)]
    for parts in (honest, random):
        everybody = np.concatenate([parts.training, parts.validation, parts.test])
        assert len(np.unique(everybody)) == len(everybody)


def test_split_people__only_the_honest_one_keeps_families_together():
    family = cohort().family_M
    honest, random = split_people(family, 3)
    parts = [family[rows] for rows in (honest.training, honest.validation, honest.test)]
    assert not any(np.isin(parts[one], parts[two]).any() for one, two in ((0, 1), (0, 2), (1, 2)))
    assert np.isin(family[random.training], family[random.test]).any()


def test_standardised__is_what_pandas_does():
    people = cohort(60, 7)
    rows = np.arange(40)
    dense = people.x_MF.toarray()
    wanted = (dense - dense[rows].mean(0)) / dense[rows].std(0, ddof=1)
    found = Standardised.by(people.x_MF, rows).dense(np.arange(60))
    assert np.allclose(found.numpy(), wanted, atol=1e-4)


def test_standardised__a_feature_that_never_varies_is_silent():
    x = csr_matrix(np.array([[1.0, 0], [1, 2], [1, 1]], np.float32))
    assert Standardised.by(x, np.arange(3)).dense(np.arange(3))[:, 0].tolist() == [0, 0, 0]


def test_dense_network__sparse_arithmetic_is_that_of_a_dense_layer():
    people = cohort(50, 12)
    features = Standardised.by(people.x_MF, np.arange(50))
    torch.manual_seed(1)
    network = DenseNetwork(12, Training(hidden=4)).eval()
    rows = np.array([3, 8, 1])
    hidden = torch.relu(features.dense(rows) @ network.kernel_FH + network.bias_H)
    expected = network.head(network.norm(hidden)).squeeze(1)
    assert torch.allclose(network(features, rows), expected, atol=1e-5)


def test_train_course__penalty_is_l1_and_l2():
    people = cohort(64, 12)
    features = Standardised.by(people.x_MF, np.arange(64))
    settings = Training(hidden=4, max_epochs=1, learning_rate=1e-9, dropout=0)
    course = train_course(features, people.is_case_M, settings, People(np.arange(64), (np.arange(5),)), 1)
    torch.manual_seed(1)
    kernel = DenseNetwork(12, settings).kernel_FH
    assert course.penalty_E[0] == pytest.approx(
        0.01 * float((kernel.abs() + kernel**2).sum().detach()), rel=1e-4
    )


def test_train_course__learns():
    people = cohort(600)
    features = Standardised.by(people.x_MF, np.arange(600))
    settings = Training(max_epochs=15, learning_rate=1e-2, penalty=1e-4, patience=20)
    rows = np.arange(500, 600)
    course = train_course(features, people.is_case_M, settings, People(np.arange(500), (rows,)), 1)
    right = (course.probability_EM[-1] >= 0.5) == (people.is_case_M[rows] == 1)
    assert right.mean() > 0.75


def test_course__the_choosing_people_keep_their_best_epoch():
    course = Course(np.array([5, 6, 7]))
    course.probability_EM = [np.array(p) for p in ([0.9, 0.1, 0.9], [0.1, 0.9, 0.9], [0.9, 0.9, 0.9])]
    course.penalty_E = [0.0] * 3
    status = np.zeros(8, np.int8)
    status[6] = 1
    assert course.chosen(status, np.array([6]), patience=5) == 1
    assert course.chosen(status, np.array([5]), patience=5) == 1
    assert course.chosen(1 - status, np.array([5]), patience=5) == 0


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [([3, 2, 1], 1, None), ([1, 2, 3], 2, 2), ([2, 1, 1.5, 0.9, 1, 1], 2, 5)],
)
def test_stops_at(losses, patience, expected):
    assert stops_at(np.array(losses, float), patience) == expected


def test_penalised_gradient__is_that_of_the_loss():
    people = cohort(40, 6)
    features = Standardised.by(people.x_MF, np.arange(40))
    settings = Training(hidden=3, dropout=0, penalty=0.05)
    torch.manual_seed(2)
    network = DenseNetwork(6, settings)
    label = torch.from_numpy(people.is_case_M.astype(np.float32))
    loss = functional.binary_cross_entropy_with_logits(network(features, np.arange(40)), label)
    penalty = 0.05 * (network.kernel_FH.abs().sum() + network.kernel_FH.square().sum())
    wanted = torch.autograd.grad(loss + penalty, network.kernel_FH)[0]
    from deploy.evidence.published import _penalise

    functional.binary_cross_entropy_with_logits(network(features, np.arange(40)), label).backward()
    _penalise(network.kernels(), 0.05)
    assert torch.allclose(network.kernel_FH.grad, wanted, atol=1e-6)


def test_run_protocols__same_seed_same_scores_and_a_choice_by_the_test_never_loses():
    people, settings = cohort(), Training(max_epochs=3, learning_rate=1e-3)
    found = run_protocols(people, settings, 4)
    assert tuple(found) == PROTOCOLS
    again = run_protocols(people, settings, 4)
    assert all(np.array_equal(found[name], again[name]) for name in PROTOCOLS)
    test = split_people(people.family_M, 4)[1].test
    right = {name: ((found[name] >= 0.5) == (people.is_case_M[test] == 1)).mean() for name in PROTOCOLS}
    assert right["test_chooses_epoch"] >= right["scaling_on_everyone"]


def test_run_protocols__the_papers_own_network():
    settings = Training(network="published", max_epochs=1)
    found = run_protocols(cohort(120, 30), settings, 4)
    assert all(len(scores) == 18 and ((scores > 0) & (scores < 1)).all() for scores in found.values())
