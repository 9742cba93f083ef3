import gzip
from pathlib import Path

import pytest

from contract.errors import InputError
from etl.ingest.header import check_build, read_header, with_decimal_quality
from tests.etl.mini import HEADER, PEOPLE, vcf_text, write_bgzip


def plain(folder: Path, text: str) -> Path:
    path = folder / "cohort.vcf"
    path.write_text(text)
    return path


def test_read_header__what_the_file_says(tmp_path: Path):
    header = read_header(plain(tmp_path, vcf_text()))
    assert header.compression == "none"
    assert header.samples == PEOPLE
    assert header.format_fields == {
        "GT": "Number=1,Type=String",
        "AD": "Number=R,Type=Integer",
        "DP": "Number=1,Type=Integer",
        "GQ": "Number=1,Type=Integer",
        "PL": "Number=G,Type=Integer",
    }
    assert header.info_descriptions["CSQ"].startswith("VEP. Format: Allele|")
    assert header.contig_lengths == {"chr1": 248956422}
    assert header.first_contig == "chr1"
    assert header.text.endswith("P4\n")


def test_read_header__compressions_by_content_not_by_name(tmp_path: Path):
    bgzip = write_bgzip(tmp_path / "a.vcf.gz", vcf_text())
    zipped = tmp_path / "b.vcf.bgz"
    zipped.write_bytes(gzip.compress(vcf_text().encode()))
    assert read_header(bgzip).compression == "bgzip"
    assert read_header(zipped).compression == "gzip"
    assert read_header(bgzip).text == read_header(zipped).text


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
    assert read_header(path).samples == PEOPLE


@pytest.mark.parametrize("lost", [1, 28, 200])
def test_read_header__truncated_bgzip(tmp_path: Path, lost: int):
    path = write_bgzip(tmp_path / "cohort.vcf.bgz", vcf_text())
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(InputError, match=r"bgzip: found no end-of-file block: the file is cut off"):
        read_header(path)


def test_read_header__truncated_gzip(tmp_path: Path):
    path = tmp_path / "cohort.vcf.gz"
    path.write_bytes(gzip.compress(HEADER.encode())[:60])
    with pytest.raises(InputError, match=r"found unreadable content .*, wanted a complete VCF file"):
        read_header(path)


def test_read_header__damaged_first_block_with_an_intact_end(tmp_path: Path):
    path = write_bgzip(tmp_path / "cohort.vcf.bgz", vcf_text())
    content = bytearray(path.read_bytes())
    content[18:60] = b"\xff" * 42
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"found unreadable content \(Error -3 .*, wanted a complete VCF file"
    ):
        read_header(path)


@pytest.mark.parametrize("text", [HEADER, HEADER + "chr1\t1\t.\tA\tC\n"])
def test_read_header__no_column_line(tmp_path: Path, text: str):
    with pytest.raises(InputError, match="header: found no #CHROM line"):
        read_header(plain(tmp_path, text))


def test_read_header__empty_file(tmp_path: Path):
    with pytest.raises(InputError, match="first line: found nothing, wanted ##fileformat=VCF"):
        read_header(plain(tmp_path, ""))


def test_read_header__a_folder(tmp_path: Path):
    with pytest.raises(InputError, match=r"input\.vcf: found Is a directory, wanted a readable VCF file"):
        read_header(tmp_path)


@pytest.mark.parametrize(("reference", "n_faults"), [("GRCh38", 0), ("GRCh37", 2)])
def test_check_build__names_and_lengths(tmp_path: Path, reference: str, n_faults: int):
    faults = check_build(read_header(plain(tmp_path, vcf_text())), reference)
    assert len(faults) == n_faults
    if faults:
        assert "CHROM: found 'chr1', wanted names of GRCh37, such as '1'" in faults[0]
        assert "found 248956422, wanted 249250621 (GRCh37)" in faults[1]


def test_check_build__length_alone(tmp_path: Path):
    header = HEADER.replace("248956422", "249250621")
    (text,) = check_build(read_header(plain(tmp_path, vcf_text(header))), "GRCh38")
    assert "##contig length of chromosome 1: found 249250621" in text


def test_with_decimal_quality__changes_gq_alone():
    changed = with_decimal_quality(HEADER)
    assert "##FORMAT=<ID=GQ,Number=1,Type=Float" in changed
    assert changed.replace("GQ,Number=1,Type=Float", "GQ,Number=1,Type=Integer") == HEADER
