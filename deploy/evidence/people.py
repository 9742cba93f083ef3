"""People of a cohort with known truth, drawn in blocks so that memory holds one block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.stats import norm

from contract.schema import N_FOLDS
from deploy.evidence.gene_truth import Floats, GeneTruth, genetic_liability
from deploy.evidence.settings import CohortSettings, Relatives, Technique

JUDGES = 9
"""The sealed fold."""

PART = 512
"""People of a block, which becomes one file."""


@dataclass(frozen=True)
class Events:
    """Alleles one by one: who carries it, on which feature."""

    person: NDArray[np.int32]
    feature: NDArray[np.int32]

    def where(self, mask: NDArray[np.bool_]) -> Events:
        """Some of them."""
        return Events(self.person[mask], self.feature[mask])

    def table(self, n_people: int, n_features: int) -> csr_matrix:
        """Alleles by person and feature."""
        ones = np.ones(len(self.person), np.uint8)
        shape = (n_people, n_features)
        return coo_matrix((ones, (self.person, self.feature)), shape=shape).tocsr()


@dataclass(frozen=True)
class Block:
    """Some people of one fold.

    `family_M` counts from 0. `called_MF` holds the alleles that were called, `called` the same one by one,
    `variant` the number of each one's variant in its feature where a mask looks at variants.
    """

    is_case_M: NDArray[np.int8]
    in_batch_b_M: NDArray[np.bool_]
    is_female_M: NDArray[np.bool_]
    component_M2: NDArray[np.float32]
    family_M: NDArray[np.int32]
    liability_M: Floats
    call_rate_M: Floats
    called_MF: csr_matrix
    called: Events
    variant: NDArray[np.uint8]


def fold_sizes(settings: CohortSettings) -> list[int]:
    """People of each fold; the last is the sealed one."""
    sizes = [len(part) for part in np.array_split(np.arange(settings.n_people), N_FOLDS - 1)]
    return [*sizes, settings.n_judges]


def draw_fold(truth: GeneTruth, settings: CohortSettings, fold: int, n: int) -> Iterator[Block]:
    """Blocks of a fold's people, each as large as one file; the same at every call."""
    for number, start in enumerate(range(0, n, PART)):
        yield draw_block(truth, settings, min(PART, n - start), (fold, number))


def draw_block(truth: GeneTruth, settings: CohortSettings, n: int, where: tuple[int, int]) -> Block:
    """Draw people.

    Parameters
    ----------
    truth, settings
        The cohort's.
    n
        Number of people.
    where
        Fold and number of the block in it: with `people_seed` they decide every draw. The last fold is the
        sealed one, whose people are the judges.
    """
    rng = np.random.default_rng([settings.people_seed, *where])
    second_M = _second_siblings(settings.relatives, n)
    noise_M = _residual(rng, second_M, settings.relatives)
    ascertained = settings.form == "constraint"
    cases_M = noise_M > norm.isf(settings.architecture.case_share) if ascertained else np.zeros(n, bool)
    events = _draw_events(rng, truth, cases_M)
    events = _share_alleles(rng, events, second_M, settings.relatives.shared_alleles)
    carried_MF = events.table(n, truth.rate_GC.size)
    liability_M = genetic_liability(truth, settings, carried_MF)
    if not ascertained:
        cases_M = liability_M + np.sqrt(1 - settings.heritability) * noise_M > 0
    technique = settings.technique
    in_b_M = rng.random(n) < np.where(cases_M, technique.b_of_cases, technique.b_of_controls)
    rate_M = _call_rate(technique, cases_M, in_b_M, judges=where[0] == JUDGES)
    called_MF = carried_MF
    if rate_M.min() < 1:
        events = events.where(rng.random(len(events.person)) < rate_M[events.person])
        called_MF = events.table(n, truth.rate_GC.size)
    return Block(
        is_case_M=cases_M.astype(np.int8),
        in_batch_b_M=in_b_M,
        is_female_M=rng.random(n) < 0.5,
        component_M2=rng.normal(size=(n, 2)).astype(np.float32),
        family_M=np.cumsum(~second_M, dtype=np.int32) - 1,
        liability_M=liability_M,
        call_rate_M=rate_M,
        called_MF=called_MF,
        called=events,
        variant=_variants(settings.label_mask.variants, len(events.person), where),
    )


def _variants(n_variants: int, n: int, where: tuple[int, int]) -> NDArray[np.uint8]:
    """Number of each allele's variant, from draws of their own; none where no mask looks at variants."""
    if not n_variants:
        return np.empty(0, np.uint8)
    return np.random.default_rng([29, *where]).integers(0, n_variants, n).astype(np.uint8)


def _second_siblings(relatives: Relatives, n: int) -> NDArray[np.bool_]:
    """Who is the second of a pair: every other one of the first people."""
    second_M = np.zeros(n, bool)
    second_M[1 : 2 * round(relatives.share * n / 2) : 2] = True
    return second_M


def _residual(rng: np.random.Generator, second_M: NDArray[np.bool_], relatives: Relatives) -> Floats:
    """Standard normal liability beside the genes, correlated within pairs."""
    noise_M = rng.normal(size=len(second_M))
    second = np.flatnonzero(second_M)
    r = relatives.liability_correlation
    noise_M[second] = r * noise_M[second - 1] + np.sqrt(1 - r**2) * noise_M[second]
    return noise_M


def _call_rate(
    technique: Technique, cases_M: NDArray[np.bool_], in_b_M: NDArray[np.bool_], *, judges: bool
) -> Floats:
    """Chance of an allele to be called, by person."""
    rate_M = np.where(in_b_M, 1 - technique.b_loss, 1.0) * np.where(cases_M, 1 - technique.case_loss, 1.0)
    return np.asarray(rate_M * (1 - technique.judge_loss if judges else 1.0))


def _draw_events(rng: np.random.Generator, truth: GeneTruth, cases_M: NDArray[np.bool_]) -> Events:
    """Poisson alleles: so many on a feature over all people, each given to one of them at random.

    That is the same as independent Poisson numbers, at the cost of the alleles alone. In those named as
    cases beforehand a risk that multiplies the odds multiplies the rates.
    """
    rate_F, effect_F = truth.rate_GC.T.ravel(), truth.effect_GC.T.ravel()
    events = Events(np.empty(0, np.int32), np.empty(0, np.int32))
    for members, rates in (
        (np.flatnonzero(~cases_M), rate_F),
        (np.flatnonzero(cases_M), rate_F * np.exp(effect_F)),
    ):
        if not len(members):
            continue
        number_F = rng.poisson(len(members) * rates)
        person = members[rng.integers(0, len(members), number_F.sum())].astype(np.int32)
        feature = np.repeat(np.arange(len(rates), dtype=np.int32), number_F)
        events = Events(np.append(events.person, person), np.append(events.feature, feature))
    return events


def _share_alleles(
    rng: np.random.Generator, events: Events, second_M: NDArray[np.bool_], share: float
) -> Events:
    """Second siblings lose a share of their alleles and take as large a share of the first one's."""
    if not second_M.any():
        return events
    of_second = second_M[events.person]
    kept = events.where(~of_second | (rng.random(len(of_second)) >= share))
    has_second_M = np.append(second_M[1:], False)
    taken = events.where(has_second_M[events.person] & (rng.random(len(of_second)) < share))
    return Events(
        np.concatenate([kept.person, taken.person + 1]), np.concatenate([kept.feature, taken.feature])
    )
