import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from etl.associate.inflation import channel_inflation, inflation


def test_inflation__uniform_p_values_have_none():
    found = inflation("synonymous", (np.arange(1001) + 0.5) / 1001)
    assert (found.channel, found.genes) == ("synonymous", 1001)
    assert found.value == pytest.approx(1, abs=0.005)
    assert found.low < 1 < found.high


def test_inflation__chi_squares_twice_as_large():
    chi = 2 * chi2.isf((np.arange(999) + 0.5) / 999, 1)
    found = inflation("plof", chi2.sf(chi, 1))
    assert found.value == pytest.approx(2, abs=0.01)
    assert found.low > 1.5


def test_inflation__interval_holds_the_truth_in_95_of_100_draws():
    rng = np.random.default_rng(2)
    draws = [inflation("synonymous", rng.uniform(size=200)) for _ in range(2_000)]
    assert np.mean([found.low <= 1 <= found.high for found in draws]) == pytest.approx(0.955, abs=0.015)


def test_inflation__few_genes_have_none():
    assert inflation("plof", np.full(19, 0.5)) is None


def test_channel_inflation__genes_with_few_expected_carriers_do_not_count():
    table = pd.DataFrame(
        {
            "channel": ["plof"] * 60 + ["synonymous"] * 60,
            "p": np.tile(np.r_[np.full(30, 0.5), np.full(30, 1e-9)], 2),
            "expected_carriers": np.r_[np.tile([5.0] * 30 + [4.9] * 30, 1), np.full(60, 3.0)],
        }
    )
    (found,) = channel_inflation(table, 5)
    assert (found.channel, found.genes, found.value) == ("plof", 30, pytest.approx(1.0))
