import numpy as np
import pytest

from etl.simulate.calls import call_table, entry_texts, genotype_order, genotype_quality, phred_likelihoods
from etl.simulate.reads import MAXIMUM_DEPTH


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        # A read that fits the genotype costs 0.004, one that does not 30, any read of a heterozygote 3.01.
        ((10, 0), (0, 30, 300)),
        ((5, 5), (120, 0, 120)),
        ((0, 20), (600, 60, 0)),
        ((19, 1), (0, 30, 540)),
    ],
)
def test_phred_likelihoods__by_hand(reads, expected):
    assert phred_likelihoods(np.array([reads]), 0.001)[0] == pytest.approx(expected, abs=1)


def test_genotype_order__three_alleles():
    assert genotype_order(3) == ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))


def test_genotype_quality__second_smallest_and_capped():
    assert genotype_quality(np.array([[0, 30, 300], [500, 0, 400]])).tolist() == [30, 99]


def test_entry_texts__biallelic():
    texts, best, _ = entry_texts(np.array([[10, 0], [5, 5], [0, 20], [0, 0]]), 0.001)
    assert texts[0] == b"0/0:10,0:10:30:0,30,300"
    assert texts[1].startswith(b"0/1:5,5:10:99:")
    assert texts[2].startswith(b"1/1:0,20:20:60:")
    assert texts[3] == b"./.:0,0:0:.:."
    assert best.tolist() == [0, 1, 2, -1]


def test_entry_texts__two_alternative_alleles():
    texts, best, likelihoods = entry_texts(np.array([[0, 9, 11]]), 0.001)
    assert texts[0].startswith(b"1/2:0,9,11:20:99:")
    assert best.tolist() == [4]
    assert likelihoods[0, 4] == 0


def test_call_table__agrees_with_the_calls_themselves():
    table = call_table(0.001)
    texts, best, likelihoods = entry_texts(np.array([[30, 12]]), 0.001)
    key = 30 * (MAXIMUM_DEPTH + 1) + 12
    assert (table.text[key], table.copies[key]) == (texts[0], best[0])
    assert table.reference_pl[key] == likelihoods[0, 0]
