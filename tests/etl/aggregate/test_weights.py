import numpy as np
import pytest
from scipy.stats import beta

from etl.aggregate.config import MaskConfig, Weight
from etl.aggregate.states import ALL, alleles_of_others
from etl.aggregate.weights import formula, weights

REFERENCE = ALL[2]


def of_alternate(weight, count, number, minor=False):
    alleles = alleles_of_others(REFERENCE, np.array([float(count)]), np.array([float(number)]), minor=minor)
    return float(weights(weight, alleles, None)[0])


def test_weights__madsen_browning_by_hand():
    # 50 people, 4 of 100 alleles: q = 5 / 102, n q (1 - q) = 50 × 0.04902 × 0.95098.
    assert of_alternate(Weight(kind="madsen_browning"), 4, 100) == pytest.approx(0.65500, abs=1e-5)


def test_weights__madsen_browning_of_an_allele_that_nobody_else_carries_is_finite():
    assert of_alternate(Weight(kind="madsen_browning"), 0, 98) == pytest.approx(1.43577, abs=1e-5)


@pytest.mark.parametrize("shape", [(1.0, 25.0), (2.0, 3.0), (1.0, 1.0)])
@pytest.mark.parametrize("count", [0, 5, 50, 100])
def test_weights__beta_is_the_density_at_the_frequency(shape, count):
    found = of_alternate(Weight(kind="beta", shape=shape), count, 100)
    assert found == pytest.approx(beta.pdf(count / 100, *shape), rel=1e-12)


def test_weights__beta_is_of_the_allele_that_is_counted():
    skat = Weight(kind="beta")
    assert of_alternate(skat, 95, 100) == pytest.approx(25 * 0.05**24)
    assert of_alternate(skat, 95, 100, minor=True) == pytest.approx(25 * 0.95**24)


def test_weights__nobody_else_is_called():
    for kind in ("beta", "madsen_browning"):
        assert np.isnan(of_alternate(Weight(kind=kind), 0, 0))


def test_formula__names_its_numbers():
    mask = MaskConfig(name="m", classes=("any",), weight={"beta": [1, 10]})
    assert formula(mask).endswith("a = 1, b = 10")
    assert formula(MaskConfig(name="m", classes=("any",), weight={"score": "cadd"})).startswith("score cadd")
    assert formula(MaskConfig(name="m", classes=("any",))) == "1"
