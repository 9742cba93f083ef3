import gzip
from pathlib import Path

import pytest

from contract.errors import InputError
from etl.genome import Genome, genome
from etl.ingest.sites import SITE_REASONS, check_fasta
from tests.etl.ingest.reading import read
from tests.etl.mini import RECORDS, vcf_text, write_bgzip

SHORT = Genome("GRCh38", {"chr1": 60, "chr2": 40}, {})


def fasta(folder: Path, *, names: tuple[str, str] = ("chr1", "chr2"), plain: bool = True) -> Path:
    """chr1 is 60 bases, of which 11 to 13 are CAN; chr2 is 40 Ts."""
    path = folder / ("genome.fa" if plain else "genome.fa.gz")
    content = f">{names[0]}\n{'A' * 10}can{'A' * 47}\n>{names[1]}\n{'T' * 40}\n".encode()
    path.write_bytes(content if plain else gzip.compress(content))
    return path


def reasons(folder: Path, record: str, **changes: object) -> list[list[str]]:
    columns = record.split()
    text = "\t".join([columns[0], columns[1], ".", *columns[2:4], "50", *columns[4:], ".", "GT"])
    path = write_bgzip(folder / "a.vcf.bgz", vcf_text(records=[f"{text}\t0/0\t0/1\t0/1\t0/0\n"]))
    table, _ = read(path, **changes)
    return table.column("site_reasons").to_pylist()


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("chr1 100 A C PASS", [[]]),
        ("chr1 100 A C .", [[]]),
        ("chr1 100 A C LOW;QD", [["filter_not_pass"]]),
        ("chr1 100 a c PASS", [[]]),
        ("chr1 100 A A PASS", [["ref_equals_alt"]]),
        ("chr1 100 A G,G PASS", [["repeated_allele"]]),
        ("chr1 100 A C,*,<DEL> PASS", [[], ["not_bases"], ["not_bases"]]),
        ("chr1 100 A C,G,T,AA,AC,AG PASS", [["too_many_alleles"]] * 6),
        ("chr1 100 R C PASS", [["not_bases"]]),
    ],
)
def test_reasons__of_what_the_record_says(tmp_path: Path, record: str, wanted: list[list[str]]):
    assert reasons(tmp_path, record) == wanted
    assert {reason for row in wanted for reason in row} <= set(SITE_REASONS)


def test_reasons__filters_and_many_alleles_may_be_allowed(tmp_path: Path):
    assert reasons(tmp_path, "chr1 100 A C,G,T,AA,AC,AG LOW", max_alleles=7, require_pass=False) == [[]] * 6


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("chr1 11 C T PASS", []),
        ("chr1 10 AC A PASS", []),
        ("chr1 13 G T PASS", []),  # N in the sequence says nothing
        ("chr1 12 T C PASS", ["ref_differs_from_fasta"]),
        ("chr1 60 AA A PASS", ["ref_differs_from_fasta"]),  # reaches behind the end
    ],
)
@pytest.mark.parametrize("names", [("chr1", "chr2"), ("1", "2")])
def test_reasons__reference_allele_compared_with_a_fasta(
    tmp_path: Path, record: str, wanted: list[str], names: tuple[str, str]
):
    path = fasta(tmp_path, names=names)
    assert reasons(tmp_path, record, reference_fasta=str(path)) == [wanted]


def test_reasons__no_sequence_for_a_contig_of_the_calls(tmp_path: Path):
    path = fasta(tmp_path)
    with pytest.raises(InputError, match=r"genome\.fa: sequences: found none, wanted a sequence for chr3"):
        reasons(tmp_path, "chr3 11 C T PASS", reference_fasta=str(path))


def test_check_fasta__lengths_and_names(tmp_path: Path):
    path = str(fasta(tmp_path))
    assert check_fasta(path, SHORT) == []
    assert check_fasta(path, Genome("GRCh37", {"1": 60, "2": 41}, {})) == [
        f"{path}: length of 2: found 40, wanted 41 (GRCh37)"
    ]
    assert check_fasta(path, Genome("GRCh37", {"7": 60}, {})) == [
        f"{path}: sequences: found chr1, chr2, wanted contigs of GRCh37"
    ]


def test_check_fasta__unreadable(tmp_path: Path):
    (text,) = check_fasta(str(tmp_path / "none.fa"), genome("GRCh38"))
    assert "none.fa: reference_fasta: found an unreadable file" in text
    # Gzipped, not bgzipped: its bases can't be reached.
    (text,) = check_fasta(str(fasta(tmp_path, plain=False)), genome("GRCh38"))
    assert "wanted a FASTA file, plain or bgzipped" in text


@pytest.mark.parametrize(("position", "refused"), [("248956422", False), ("248956424", True)])
def test_reading__positions_outside_the_contig_are_of_another_build(
    tmp_path: Path, position: str, refused: bool
):
    path = write_bgzip(tmp_path / "a.vcf.bgz", vcf_text(records=[RECORDS[0].replace("1100", position)]))
    if not refused:
        assert read(path)[0].num_rows == 1
        return
    told = rf"record chr1:{position}: found position {position}, wanted 1 to 248956422, the length of chr1"
    with pytest.raises(InputError, match=told):
        read(path)
