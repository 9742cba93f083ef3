from pathlib import Path

import hail as hl
import pytest

from etl.ingest.normalise import is_sequence, key_by_minimal, split_alleles

pytestmark = pytest.mark.usefixtures("hail_session")


def split(mt: hl.MatrixTable) -> hl.MatrixTable:
    return key_by_minimal(split_alleles(mt))


def entries(mt: hl.MatrixTable) -> hl.Table:
    """GT, AD, DP, GQ and PL by locus, alleles and person."""
    return mt.select_rows().select_cols().select_entries("GT", "AD", "DP", "GQ", "PL").entries()


def same(first: hl.MatrixTable, second: hl.MatrixTable) -> bool:
    return entries(first)._same(entries(second))


@pytest.fixture(scope="module")
def sample2(shared_data: Path) -> hl.MatrixTable:
    path = shared_data / "01_hail_test_resources" / "sample2.vcf.gz"
    return hl.import_vcf(str(path), force=True, reference_genome="GRCh37", array_elements_required=False)


def test_split_alleles__equals_hail_on_real_calls(sample2: hl.MatrixTable):
    found = split(sample2)
    wanted = hl.split_multi_hts(sample2)
    found = found.filter_rows(is_sequence(found.alleles[1]))
    wanted = wanted.filter_rows(is_sequence(wanted.alleles[1]))
    assert found.count_rows() == wanted.count_rows()
    assert same(found, wanted)


def test_split_alleles__equals_the_split_file_that_others_wrote(sample2: hl.MatrixTable, shared_data: Path):
    path = shared_data / "01_hail_test_resources" / "sample2_split.vcf.bgz"
    wanted = hl.import_vcf(str(path), reference_genome="GRCh37", array_elements_required=False)
    found = split(sample2)
    found = found.filter_rows(is_sequence(found.alleles[1]))
    assert found.count() == wanted.count() == (1172, 100)
    pairs = entries(found).join(entries(wanted))
    assert pairs.count() == 117_200
    assert pairs.all(hl.coalesce(pairs.GT == pairs.GT_1, hl.is_missing(pairs.GT) & hl.is_missing(pairs.GT_1)))


def one_record(alleles: list[str], calls: list[dict[str, object]]) -> hl.MatrixTable:
    """One record at chr1:1000 with a person for each of the calls."""
    kinds = "array<struct{GT: call, AD: array<int32>, DP: int32, GQ: int32, PL: array<int32>}>"
    table = hl.Table.parallelize(
        [{"locus": hl.Locus("chr1", 1000, "GRCh38"), "alleles": alleles, "row": calls}],
        f"struct{{locus: locus<GRCh38>, alleles: array<str>, row: {kinds}}}",
        key=["locus", "alleles"],
    )
    table = table.annotate_globals(people=hl.range(len(calls)).map(lambda n: hl.struct(s=hl.str(n))))
    return table._unlocalize_entries("row", "people", ["s"])


def test_split_alleles__three_alleles_by_hand():
    # PL in the order 0/0 0/1 1/1 0/2 1/2 2/2.
    call = {"GT": hl.Call([1, 2]), "AD": [3, 10, 12], "DP": 26, "GQ": 40, "PL": [500, 90, 200, 80, 0, 150]}
    mt = split(one_record(["A", "C", "T"], [call]))
    first, second = entries(mt).collect()
    assert (first.alleles, second.alleles) == (["A", "C"], ["A", "T"])
    # For C: T counts as reference. 0/0 is the least of 0/0 0/2 2/2, 0/1 of 0/1 1/2, 1/1 is 1/1.
    assert (str(first.GT), first.AD, first.DP, first.PL, first.GQ) == ("0/1", [15, 10], 26, [80, 0, 200], 80)
    assert (str(second.GT), second.AD, second.DP, second.PL, second.GQ) == (
        "0/1",
        [13, 12],
        26,
        [90, 0, 150],
        90,
    )


def test_split_alleles__missing_stays_missing():
    call = {"GT": None, "AD": None, "DP": None, "GQ": None, "PL": None}
    for entry in entries(split(one_record(["A", "C", "T"], [call]))).collect():
        assert [entry.GT, entry.AD, entry.DP, entry.GQ, entry.PL] == [None] * 5


def test_split_alleles__two_alleles_are_left_alone():
    call = {"GT": hl.Call([0, 1], phased=True), "AD": [5, 6], "DP": 12, "GQ": 7, "PL": [70, 0, 90]}
    (entry,) = entries(split(one_record(["A", "C"], [call]))).collect()
    assert (str(entry.GT), entry.AD, entry.DP, entry.GQ, entry.PL) == ("0|1", [5, 6], 12, 7, [70, 0, 90])


def test_split_alleles__minimal_representation_star_and_symbolic_alleles():
    call = {"GT": hl.Call([0, 1]), "AD": None, "DP": 9, "GQ": None, "PL": None}
    mt = split(one_record(["CAA", "CA", "CAT", "*", "<DEL>"], [call]))
    found = {(row.locus.position, *row.alleles, row.a_index) for row in mt.rows().collect()}
    assert found == {
        (1000, "CA", "C", 1),
        (1002, "A", "T", 2),
        (1000, "CAA", "*", 3),
        (1000, "CAA", "<DEL>", 4),
    }
    assert mt.locus.position.collect() == sorted(mt.locus.position.collect())


@pytest.mark.parametrize(
    ("allele", "wanted"), [("A", True), ("acgtN", True), ("*", False), ("<CN0>", False), ("G]17:1]", False)]
)
def test_is_sequence__bases_alone(allele: str, wanted: bool):
    assert hl.eval(is_sequence(hl.literal(allele))) is wanted
