"""Read model: how many reads each entry has, and which allele they show."""

from __future__ import annotations

import numpy as np

from etl.simulate import reference
from etl.simulate.config import SequencingConfig
from etl.simulate.people import People
from etl.simulate.sites import DEFECTS, Alleles

MAXIMUM_DEPTH = 255
_ARTEFACT_BALANCE = (0.30, 0.48)  # share of alternative reads that a mapping or batch artefact shows


def draw_depths(
    rng: np.random.Generator,
    rows: Alleles,
    people: People,
    config: SequencingConfig,
    hemizygous: np.ndarray,
) -> np.ndarray:
    """
    Reads of each entry, sites × people.

    Negative binomial around person × kit's coverage of the site; half in a hemizygous man (`hemizygous`,
    sites × people); 0 in women on Y, and where the entry is missing, at random or by a planted defect.
    """
    expected = rows.depth[:, people.kit] * people.depth
    expected = np.where(hemizygous, expected / 2, expected)
    expected[np.ix_(rows.chromosome == reference.Y, people.female)] = 0
    share = rng.standard_gamma(config.dispersion, expected.shape) / config.dispersion
    depth = rng.poisson(share * expected)
    lost = rng.random(depth.shape, dtype=np.float32) < people.missing_rate
    for row in np.flatnonzero(rows.defect):
        affected = _missing_people(rows, row, people)
        if affected is not None:
            lost[row] |= affected & (rng.random(len(people)) < rows.strength[row])
    return np.where(lost, 0, np.minimum(depth, MAXIMUM_DEPTH))


def _missing_people(rows: Alleles, row: int, people: People) -> np.ndarray | None:
    name = DEFECTS[rows.defect[row]]
    if name == "low_call_rate":
        return np.ones(len(people), dtype=bool)
    if name == "differential_missingness":
        return people.is_case == bool(rows.group[row])
    return None


def expected_balance(
    rng: np.random.Generator, rows: Alleles, people: People, config: SequencingConfig
) -> np.ndarray:
    """
    Expected share of reads with the alternative allele, alleles × people, before sequencing error.

    A heterozygote shows it in slightly less than half of the reads (reference bias); a contaminated
    sample mixes in its donor's; artefacts override both in the people they reach.
    """
    by_dosage = np.array([0.0, config.reference_bias, 1.0])
    balance = by_dosage[rows.dosage]
    tainted = np.flatnonzero(people.donor >= 0)
    share = people.contamination[tainted]
    donors = balance[:, people.donor[tainted]]
    balance[:, tainted] = (1 - share) * balance[:, tainted] + share * donors
    for row in np.flatnonzero(rows.defect):
        affected = _artefact_people(rows, row, people)
        if affected is not None:
            shown = affected & (rng.random(len(people)) < rows.strength[row])
            balance[row, shown] = rng.uniform(*_ARTEFACT_BALANCE)
    return balance


def _artefact_people(rows: Alleles, row: int, people: People) -> np.ndarray | None:
    name = DEFECTS[rows.defect[row]]
    if name == "excess_heterozygotes":
        return np.ones(len(people), dtype=bool)
    if name == "batch_artefact":
        return people.kit == rows.group[row]
    return None


def draw_alternative_reads(
    rng: np.random.Generator, depth: np.ndarray, balance: np.ndarray, error_rate: float
) -> np.ndarray:
    """
    Reads that show the alternative allele, sites × people.

    Binomial where the allele is expected. Elsewhere errors alone make it: Poisson with mean depth ×
    error rate, cut off at two reads, which is far cheaper and misses less than one in 10,000.
    """
    mean_errors = (depth * error_rate).astype(np.float32)
    uniform = rng.random(depth.shape, dtype=np.float32)
    alternative = (uniform < mean_errors).astype(np.int64) + (uniform < mean_errors**2 / 2)
    expected = balance > 0
    probability = balance[expected] * (1 - error_rate) + (1 - balance[expected]) * error_rate
    alternative[expected] = rng.binomial(depth[expected], probability)
    return np.minimum(alternative, depth)


def hemizygous_entries(rows: Alleles, people: People, non_pseudo_autosomal: np.ndarray) -> np.ndarray:
    """True at men's entries on Y, and on X outside its pseudo-autosomal regions, sites × people."""
    on_one = (rows.chromosome == reference.Y) | ((rows.chromosome == reference.X) & non_pseudo_autosomal)
    return on_one[:, None] & ~people.female
