import gzip
from pathlib import Path

import pysam.bcftools
import pytest

from contract.errors import InputError
from etl.ingest.build import check_build
from etl.ingest.header import VcfHeader, read_header
from tests.etl.mini import HEADER, PEOPLE, vcf_text, write_bgzip


def plain(folder: Path, text: str) -> str:
    path = folder / "cohort.vcf"
    path.write_text(text)
    return str(path)


def header_of(folder: Path, *lines: str) -> VcfHeader:
    """A header with some lines more."""
    return read_header(plain(folder, vcf_text(HEADER + "".join(f"{line}\n" for line in lines))))


def test_read_header__what_the_file_says(tmp_path: Path):
    header = read_header(plain(tmp_path, vcf_text()))
    assert header.kind == "text"
    assert header.samples == PEOPLE
    assert header.format_fields == ("GT", "AD", "DP", "GQ", "PL")
    assert header.info_descriptions["CSQ"].startswith("VEP. Format: Allele|")
    assert header.contig_lengths == {"chr1": 248956422}
    assert header.first_contig == "chr1"
    assert header.references == ()


def test_read_header__compressions_by_content_not_by_name(tmp_path: Path):
    bgzip = write_bgzip(tmp_path / "a.vcf.gz", vcf_text())
    zipped = tmp_path / "b.vcf.bgz"
    zipped.write_bytes(gzip.compress(vcf_text().encode()))
    assert read_header(str(bgzip)).kind == "bgzip"
    assert read_header(str(zipped)).kind == "gzip"
    assert read_header(str(bgzip)).samples == read_header(str(zipped)).samples


def test_read_header__bcf(tmp_path: Path):
    text, path = plain(tmp_path, vcf_text()), tmp_path / "cohort.bcf"
    pysam.bcftools.view("-Ob", "-o", str(path), text, catch_stdout=False)
    header, wanted = read_header(str(path)), read_header(text)
    assert header.kind == "bcf"
    assert (header.samples, header.first_contig) == (wanted.samples, "chr1")
    assert header.contig_lengths == wanted.contig_lengths
    assert header.info_descriptions == wanted.info_descriptions


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_read_header__letters_beyond_ascii(tmp_path: Path, encoding: str):
    path = tmp_path / "cohort.vcf"
    text = vcf_text("##fileformat=VCFv4.2\n##source=Universität\n", people=("Müller", "S²"), records=[])
    path.write_bytes(text.encode(encoding))
    assert read_header(str(path)).samples == ("Müller", "S²")


def test_read_header__fields_that_only_the_first_record_has(tmp_path: Path):
    header = HEADER.replace("##FORMAT=<ID=GT", "##note=<ID=GT").replace("##FORMAT=<ID=DP", "##note=<ID=DP")
    assert set(read_header(plain(tmp_path, vcf_text(header))).format_fields) == {"GT", "AD", "DP", "GQ", "PL"}


def test_read_header__spaces_instead_of_tabs(tmp_path: Path):
    with pytest.raises(
        InputError, match=r"#CHROM line: found #CHROM POS ID .*, wanted #CHROM POS .* separated by"
    ):
        read_header(plain(tmp_path, vcf_text().replace("\t", " ")))


def test_read_header__no_records(tmp_path: Path):
    assert read_header(plain(tmp_path, vcf_text(records=[]))).first_contig is None
    assert read_header(plain(tmp_path, vcf_text(records=["\n"]))).first_contig is None


def test_read_header__sites_without_people(tmp_path: Path):
    assert (
        read_header(plain(tmp_path, HEADER + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")).samples == ()
    )


def test_read_header__lines_that_end_as_on_windows(tmp_path: Path):
    path = tmp_path / "cohort.vcf"
    path.write_bytes(vcf_text().replace("\n", "\r\n").encode())
    assert read_header(str(path)).samples == PEOPLE


@pytest.mark.parametrize("lost", [1, 28, 200])
def test_read_header__truncated_bgzip(tmp_path: Path, lost: int):
    path = write_bgzip(tmp_path / "cohort.vcf.bgz", vcf_text())
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(InputError, match=r"bgzip: found no end-of-file block: the file is cut off"):
        read_header(str(path))


def test_read_header__truncated_gzip(tmp_path: Path):
    path = tmp_path / "cohort.vcf.gz"
    path.write_bytes(gzip.compress(HEADER.encode())[:60])
    with pytest.raises(InputError, match=r"found unreadable content .*, wanted a complete VCF file"):
        read_header(str(path))


def test_read_header__damaged_first_block_with_an_intact_end(tmp_path: Path):
    path = write_bgzip(tmp_path / "cohort.vcf.bgz", vcf_text())
    content = bytearray(path.read_bytes())
    content[18:60] = b"\xff" * 42
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"found unreadable content \(Error -3 .*, wanted a complete VCF file"
    ):
        read_header(str(path))


@pytest.mark.parametrize("text", [HEADER, HEADER + "chr1\t1\t.\tA\tC\n"])
def test_read_header__no_column_line(tmp_path: Path, text: str):
    with pytest.raises(InputError, match="header: found no #CHROM line"):
        read_header(plain(tmp_path, text))


def test_read_header__empty_file(tmp_path: Path):
    with pytest.raises(InputError, match="first line: found nothing, wanted ##fileformat=VCF"):
        read_header(plain(tmp_path, ""))


def test_read_header__a_folder(tmp_path: Path):
    with pytest.raises(InputError, match=r"input\.vcf: found Is a directory, wanted a readable VCF file"):
        read_header(str(tmp_path))


@pytest.mark.parametrize(("reference", "n_faults"), [("GRCh38", 0), ("GRCh37", 2)])
def test_check_build__names_and_lengths(tmp_path: Path, reference: str, n_faults: int):
    faults = check_build(header_of(tmp_path), reference)
    assert len(faults) == n_faults
    if faults:
        assert "CHROM: found 'chr1', wanted names of GRCh37, such as '1'" in faults[0]
        assert "length of chromosome 1: found 248956422, wanted 249250621 (GRCh37)" in faults[1]


def test_check_build__lengths_of_all_contigs_are_compared(tmp_path: Path):
    # Chromosome 1 agrees, 2 and 3 are those of NCBI36, the mitochondrial one is not compared.
    lines = (
        "##contig=<ID=chr2,length=242951149>",
        "##contig=<ID=chr3,length=199501827>",
        "##contig=<ID=chrM,length=1>",
    )
    faults = check_build(header_of(tmp_path, *lines), "GRCh38")
    assert [text.split("##")[1] for text in faults] == [
        "contig length of chromosome 2: found 242951149, wanted 242193529 (GRCh38)",
        "contig length of chromosome 3: found 199501827, wanted 198295559 (GRCh38)",
    ]


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("##reference=1000GenomesPilot-NCBI36", True),
        ("##reference=file:///data/hg19.fa", True),
        ("##reference=file:///data/Homo_sapiens_assembly38.fasta", False),
        ("##reference=GRCh38_full_analysis_set.fa", False),
        ("##contig=<ID=chr2,length=242193529,assembly=b37>", True),
        ("##contig=<ID=chr2,length=242193529,assembly=gnomAD_GRCh38>", False),
    ],
)
def test_check_build__what_the_reference_is_called(tmp_path: Path, line: str, refused: bool):
    faults = check_build(header_of(tmp_path, line), "GRCh38")
    assert len(faults) == refused
    if refused:
        assert "##reference: found " in faults[0]
        assert faults[0].endswith("wanted one of GRCh38")
