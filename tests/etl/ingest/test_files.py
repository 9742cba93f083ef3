from pathlib import Path

import pytest

from contract.errors import InputError
from etl.config import InputConfig
from etl.ingest.files import find_files, inspect_headers, missing_fields, read_headers
from tests.etl.mini import HEADER, PEOPLE, vcf_text, write_bgzip


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_bgzip(tmp_path / f"part{number}.vcf.bgz", vcf_text()) for number in (2, 1, 3)]


def test_find_files__globs_are_sorted_and_paths_keep_their_order(files: list[Path], tmp_path: Path):
    assert [Path(path).name[4] for path in find_files(InputConfig(vcf=[f"{tmp_path}/part*.vcf.bgz"]))] == [
        "1",
        "2",
        "3",
    ]
    assert find_files(InputConfig(vcf=[str(files[0]), str(files[1])])) == [str(path) for path in files[:2]]


def test_vcf_config__one_path_is_a_list_of_one(files: list[Path]):
    assert InputConfig.model_validate({"vcf": str(files[0])}).vcf == [str(files[0])]


def test_find_files__a_name_with_brackets_is_no_glob(tmp_path: Path):
    path = write_bgzip(tmp_path / "cohort[1].vcf.bgz", vcf_text())
    assert find_files(InputConfig(vcf=[str(path)])) == [str(path)]


def test_find_files__a_file_named_twice_is_read_once(files: list[Path], tmp_path: Path):
    (tmp_path / "again.vcf.bgz").symlink_to(files[0])
    patterns = [str(files[2]), f"{tmp_path}/./part*.bgz", str(tmp_path / "again.vcf.bgz")]
    assert [Path(path).name[4] for path in find_files(InputConfig(vcf=patterns))] == ["3", "1", "2"]


def test_find_files__all_that_are_absent(tmp_path: Path):
    with pytest.raises(InputError) as told:
        find_files(InputConfig(vcf=[f"{tmp_path}/a*.vcf", f"{tmp_path}/b.vcf"]))
    assert [text.split("/")[-1].split(":")[0] for text in told.value.faults] == ["a*.vcf", "b.vcf"]


def test_read_headers__same_people_in_all(files: list[Path], tmp_path: Path):
    headers = read_headers(InputConfig(vcf=[f"{tmp_path}/*.bgz"]), "GRCh38")
    assert [header.samples for header in headers] == [PEOPLE] * 3


def test_read_headers__another_order_of_people(files: list[Path], tmp_path: Path):
    write_bgzip(files[2], vcf_text(people=("P2", "P1", "P3", "P4")))
    with pytest.raises(
        InputError, match=r"part3.*#CHROM line: found other samples, or another order, wanted .*part1"
    ):
        read_headers(InputConfig(vcf=[f"{tmp_path}/*.bgz"]), "GRCh38")


def test_inspect_headers__each_file_may_declare_its_fields_in_its_own_way(files: list[Path], tmp_path: Path):
    write_bgzip(files[2], vcf_text(HEADER.replace("DP,Number=1,Type=Integer", "DP,Number=.,Type=String")))
    assert inspect_headers(InputConfig(vcf=[f"{tmp_path}/*.bgz"]), "GRCh38")[1] == []


def test_find_files__urls_keep_their_scheme(files: list[Path], tmp_path: Path):
    found = find_files(InputConfig(vcf=[f"file://{tmp_path}/part*.vcf.bgz", str(files[0])]))
    assert found == [f"file://{tmp_path}/part{number}.vcf.bgz" for number in (1, 2, 3)]


def test_inspect_headers__readable_headers_and_the_faults_of_the_others(files: list[Path], tmp_path: Path):
    files[0].write_bytes(files[0].read_bytes()[:-5])
    write_bgzip(files[2], vcf_text(HEADER.replace("chr1", "1")))
    headers, faults = inspect_headers(InputConfig(vcf=[f"{tmp_path}/*.bgz"]), "GRCh38")
    assert len(headers) == 2
    assert len(faults) == 1
    assert "part2.vcf.bgz: bgzip" in faults[0]


def test_read_headers__no_people(tmp_path: Path):
    path = write_bgzip(tmp_path / "sites.vcf.bgz", HEADER + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    with pytest.raises(InputError, match="#CHROM line: found no samples, wanted genotypes"):
        read_headers(InputConfig(vcf=[str(path)]), "GRCh38")


def test_missing_fields__named_with_what_is_there():
    assert missing_fields(frozenset({"GT", "AD", "DP", "GQ", "PL", "SB"}), "a.vcf") == []
    (text,) = missing_fields(frozenset({"GT", "DP"}), "a.vcf")
    assert text.startswith("a.vcf: FORMAT: found DP, GT, wanted also AD, GQ, PL")
    assert "found none" in missing_fields(frozenset(), "a.vcf")[0]
