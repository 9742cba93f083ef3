"""The published protocol taken apart: what each step of its leak adds on a cohort with known truth.

Every protocol is judged on the same test people, so that differences are paired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from deploy.evidence.published import Course, People, Rows, Standardised, Training, Values, train_course

TEST_SHARE = 0.15  # of the public code
VALIDATION_SHARE = 0.15
PROTOCOLS = (
    "honest",
    "random_split",
    "scaling_on_everyone",
    "test_chooses_epoch",
    "as_published",
)
"""Each has the leaks of those before it. `as_published` has no validation people: they are trained on too.

The public code holds no choice of features, and its option to multiply features with given weights is off;
so neither is a step here.
"""


@dataclass(frozen=True)
class Cohort:
    """Everybody of a cohort in memory."""

    x_MF: csr_matrix
    is_case_M: NDArray[np.int8]
    family_M: NDArray[np.int32]


@dataclass(frozen=True)
class Parts:
    """Rows of a split: no row in two of them, and some in none."""

    training: Rows
    validation: Rows
    test: Rows


def split_people(family_M: NDArray[np.int32], seed: int) -> tuple[Parts, Parts]:
    """An honest split and a random one, with the same test people and parts of the same sizes.

    Honest: relatives of test people are in no part, and families stay together. Random: as many people, drawn
    from everybody, are in no part.
    """
    rng = np.random.default_rng([seed, 17])
    n = len(family_M)
    order = rng.permutation(n)
    test, rest = np.sort(order[: round(TEST_SHARE * n)]), order[round(TEST_SHARE * n) :]
    apart = rest[~np.isin(family_M[rest], family_M[test])]
    families = rng.permutation(np.unique(family_M[apart]))
    n_validation = round(VALIDATION_SHARE * n)
    size_of = np.bincount(family_M[apart], minlength=int(family_M.max()) + 1)[families]
    chosen = families[: int(np.searchsorted(np.cumsum(size_of), n_validation)) + 1]
    in_validation = np.isin(family_M[apart], chosen)
    honest = Parts(apart[~in_validation], apart[in_validation], test)
    sizes = np.cumsum([len(honest.training), len(honest.validation)])
    training, validation, _ = np.split(rng.permutation(rest), sizes)
    return honest, Parts(training, validation, test)


def run_protocols(cohort: Cohort, training: Training, seed: int) -> dict[str, Values]:
    """Probability of the test people (rows ascending) under each protocol.

    Parameters
    ----------
    cohort
        Everybody.
    training
        Settings of the network and its training.
    seed
        Of the split and of training.
    """
    honest, random = split_people(cohort.family_M, seed)
    everyone = Standardised.by(cohort.x_MF, np.arange(len(cohort.family_M)))
    found: dict[str, Values] = {}
    for name, parts in (("honest", honest), ("random_split", random)):
        features = Standardised.by(cohort.x_MF, parts.training)
        course = _course(cohort, features, training, parts, seed)
        found[name] = _kept(course, cohort, parts.validation, parts.test, training)
    course = _course(cohort, everyone, training, random, seed)
    found["scaling_on_everyone"] = _kept(course, cohort, random.validation, random.test, training)
    found["test_chooses_epoch"] = _kept(course, cohort, random.test, random.test, training)
    all_trained = np.concatenate([random.training, random.validation])
    people = People(all_trained, (random.test,))
    course = train_course(everyone, cohort.is_case_M, training, people, seed)
    found["as_published"] = _kept(course, cohort, random.test, random.test, training)
    return found


def _course(cohort: Cohort, features: Standardised, training: Training, parts: Parts, seed: int) -> Course:
    people = People(parts.training, (parts.validation, parts.test))
    return train_course(features, cohort.is_case_M, training, people, seed)


def _kept(course: Course, cohort: Cohort, choosing: Rows, test: Rows, training: Training) -> Values:
    epoch = course.chosen(cohort.is_case_M, choosing, training.patience)
    return course.probability_EM[epoch][np.isin(course.rows, test)]
