import numpy as np
import pytest

from etl.simulate.calls import call_entries, call_table, genotype_order, genotype_quality, phred_likelihoods
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


def test_call_entries__biallelic():
    entries = call_entries(np.array([[10, 0], [5, 5], [0, 20], [0, 0]]), 0.001)
    assert entries.text[0] == b"0/0:10,0:10:30:0,30,300"
    assert entries.text[1].startswith(b"0/1:5,5:10:99:")
    assert entries.text[2].startswith(b"1/1:0,20:20:60:")
    assert entries.text[3] == b"./.:0,0:0:.:."
    assert entries.copies.tolist() == [[2, 0], [1, 1], [0, 2], [0, 0]]


def test_call_entries__two_alternative_alleles():
    entries = call_entries(np.array([[0, 9, 11]]), 0.001)
    assert entries.text[0].startswith(b"1/2:0,9,11:20:99:")
    assert entries.copies.tolist() == [[0, 1, 1]]
    assert entries.reference_pl[0] > 0


def test_call_entries__one_allele_of_men():
    reads = np.array([[10, 0], [0, 20], [9, 8], [0, 0]])
    haploid = call_entries(reads, 0.001, "haploid")
    assert haploid.text.tolist()[:2] == [b"0:10,0:10:99:0,300", b"1:0,20:20:99:600,0"]
    assert haploid.text[2].startswith(b"0:9,8:17:30:"), "the likelier of two alleles, never both"
    assert haploid.text[3] == b".:0,0:0:.:."
    assert haploid.copies.tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]
    half = call_entries(reads, 0.001, "half_call")
    assert half.text[1] == b"1/.:0,20:20:99:600,60,0"
    assert half.text[3] == b"./.:0,0:0:.:."


def test_call_entries__pl_of_the_first_two_alleles_alone():
    (text,) = call_entries(np.array([[10, 0, 0]]), 0.001, partial_pl=True).text
    assert text == b"0/0:10,0,0:10:30:0,30,300,.,.,."


def test_call_table__agrees_with_the_calls_themselves():
    table = call_table(0.001)
    entries = call_entries(np.array([[30, 12]]), 0.001)
    key = 30 * (MAXIMUM_DEPTH + 1) + 12
    assert table.text[key] == entries.text[0]
    assert table.copies[key].tolist() == entries.copies[0].tolist() == [1, 1]
    assert table.reference_pl[key] == entries.reference_pl[0]
