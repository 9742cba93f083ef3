import hail as hl
import pytest

from etl.ingest.alleles import allele_reasons, is_sequence, minimal_representation

PAIRS = [
    (1000, "A", "C"),
    (1000, "CAA", "CA"),
    (1000, "CAA", "CAT"),
    (1000, "TAA", "TA"),
    (1000, "ACG", "TCG"),
    (1000, "GATC", "GATCATC"),
    (1000, "AAAA", "AA"),
    (1000, "CTAG", "CAAG"),
    (1000, "A", "ATTTA"),
]


def test_minimal_representation__by_hand():
    assert minimal_representation(1000, "CAA", "CAT") == (1002, "A", "T")
    assert minimal_representation(1000, "CAA", "CA") == (1000, "CA", "C")
    assert minimal_representation(1000, "A", "<DEL>") == (1000, "A", "<DEL>")
    assert minimal_representation(1000, "AT", "*") == (1000, "AT", "*")


@pytest.mark.usefixtures("hail_session")
def test_minimal_representation__equals_hail():
    wanted = hl.eval(
        [hl.min_rep(hl.locus("chr1", position, "GRCh38"), [ref, alt]) for position, ref, alt in PAIRS]
    )
    found = [minimal_representation(*pair) for pair in PAIRS]
    assert found == [(row.locus.position, *row.alleles) for row in wanted]


@pytest.mark.parametrize(
    ("allele", "wanted"), [("A", True), ("ACGTN", True), ("*", False), ("<CN0>", False), ("G]17:1]", False)]
)
def test_is_sequence__bases_alone(allele: str, wanted: bool):
    assert is_sequence(allele) is wanted


@pytest.mark.parametrize(
    ("ref", "alts", "wanted"),
    [
        ("A", ["C", "T"], [[], []]),
        ("A", ["G", "G"], [["repeated_allele"], ["repeated_allele"]]),
        ("A", ["A", "*"], [["ref_equals_alt"], ["not_bases"]]),
        ("M", ["C"], [["not_bases"]]),
    ],
)
def test_allele_reasons__each_named(ref: str, alts: list[str], wanted: list[list[str]]):
    assert [allele_reasons(ref, alts, place) for place in range(len(alts))] == wanted
