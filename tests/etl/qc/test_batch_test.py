import numpy as np
import pytest
from scipy.stats import chi2, fisher_exact

from etl.qc.batch_test import batch_p, exact_p


def one_table(a: int, b: int, c: int, d: int) -> float:
    """P-value of one batch against another in one ancestry group, from the cells of Hail's table."""
    alternate, alleles = np.array([[[a, b]]]), np.array([[[a + c, b + d]]])
    return float(batch_p(alternate, alleles, alleles[0])[0, 0])


def test_batch_p__counts_beyond_64_bits():
    a, b, c, d = 500_000, 500_000, 500_000, 502_000
    total, margins = a + b + c + d, (a + b) * (c + d) * (a + c) * (b + d)
    statistic = (abs(a - (a + b) * (a + c) / total) - 0.5) ** 2 / (margins / (total**3 - total**2))
    assert one_table(a, b, c, d) == pytest.approx(chi2.sf(statistic, 1)) == pytest.approx(0.1578, abs=1e-3)


def test_batch_p__without_variance():
    assert np.isnan(one_table(0, 0, 10, 20))
    assert np.isnan(one_table(10, 20, 0, 0))
    assert np.isnan(one_table(0, 0, 0, 0))


def test_batch_p__a_group_without_calls_says_nothing():
    alternate, alleles = np.array([[[50, 20], [0, 0]]]), np.array([[[200, 300], [0, 0]]])
    both = batch_p(alternate, alleles, np.full((2, 2), 100))
    assert both[0].tolist() == pytest.approx([one_table(50, 20, 150, 280)] * 2)


def test_batch_p__one_allele_of_a_small_batch_is_no_artefact():
    # 9 of 1,000 alleles are the batch's: the chance that the only alternate one is among them is 0.009.
    assert one_table(1, 0, 8, 991) == pytest.approx(0.009)


def test_batch_p__few_alleles_all_in_one_batch_exactly():
    table = [[8, 0], [92, 1900]]
    assert one_table(8, 0, 92, 1900) == pytest.approx(fisher_exact(table).pvalue)
    assert one_table(8, 0, 92, 1900) < 1e-9


def test_exact_p__over_groups_by_enumeration():
    # Two alternate alleles of ten in each group; the batch holds five and three alleles.
    alternate, alleles = np.array([[2, 0], [1, 1]]), np.array([[5, 5], [3, 7]])
    first = np.array([20, 50, 20]) / 90  # C(5,k) C(5,2-k) · 2 / 90
    second = np.array([42, 42, 6]) / 90
    sums = np.convolve(first, second)
    assert exact_p(alternate, alleles, 0) == pytest.approx(sums[sums <= sums[3] * (1 + 1e-9)].sum())


def test_batch_p__null_cohort_loses_no_rare_allele():
    """Without artefacts no variant fails at 1e-6, however few carry it and however small the batch is."""
    random = np.random.default_rng(3)
    sizes = np.array([[18, 600, 400], [6, 90, 60]])
    alleles = np.broadcast_to(2 * sizes, (30_000, 2, 3))
    frequency = random.choice([0.0005, 0.002, 0.01, 0.05], size=(30_000, 1, 1))
    p = batch_p(random.binomial(alleles, frequency), alleles, sizes)
    assert np.nanmin(p) > 1e-6
    assert np.mean(p[~np.isnan(p)] < 0.01) < 0.012
