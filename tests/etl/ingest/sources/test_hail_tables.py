"""What is told of Hail's folders without Hail; the folders hold metadata alone."""

import gzip
import json
from pathlib import Path

import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.config import InputConfig
from etl.ingest.files import inspect_headers, missing_fields, open_source
from etl.ingest.sources.hail_tables import read_table_type

ROW = (
    "locus:Locus(GRCh37),alleles:Array[String],`a,b`:Struct{x:Int32},info:Struct{AC:Int32,CSQ:Array[String]}"
)
ENTRY = "GT:Call,AD:Array[Int32],DP:Int32,GQ:Int32,PL:Array[Int32],PGT:Call"


def write_metadata(
    folder: Path, row: str = ROW, entry: str = ENTRY, counts: tuple[int, ...] = (3, 4)
) -> Path:
    folder.mkdir(parents=True)
    kind = f"Matrix{{global:Struct{{}},col_key:[s],row:Struct{{{row}}},entry:Struct{{{entry}}}}}"
    metadata = {"matrix_type": kind, "components": {"partition_counts": {"counts": list(counts)}}}
    (folder / "metadata.json.gz").write_bytes(gzip.compress(json.dumps(metadata).encode()))
    (folder / "_SUCCESS").touch()
    return folder


def faults_of(**calls: str) -> list[str]:
    return inspect_headers(build_config(InputConfig, calls, "test"), "GRCh37")[1]


def test_read_table_type__fields_and_rows(tmp_path: Path):
    table = read_table_type(str(write_metadata(tmp_path / "a.mt")), "input.matrix_table")
    assert list(table.row) == ["locus", "alleles", "a,b", "info"]
    assert table.row["a,b"] == "Struct{x:Int32}"
    assert table.info == {"AC": "Int32", "CSQ": "Array[String]"}
    assert (table.genome, table.n_rows) == ("GRCh37", 7)
    assert table.entry["PL"] == "Array[Int32]"


def test_matrix_table__header_without_hail(tmp_path: Path):
    path = write_metadata(tmp_path / "a.mt", entry="GT:Call,DP:Int32")
    config = build_config(InputConfig, {"matrix_table": str(path)}, "test")
    (header,), faults = inspect_headers(config, "GRCh37")
    assert faults == []
    assert header.samples is None
    assert header.info_descriptions == {"AC": "", "CSQ": ""}
    assert missing_fields(header.format_fields, header.path) == [
        f"{path}: FORMAT: found DP, GT, wanted also AD, GQ, PL for genotype quality control "
        "(genotype_qc: skip does without it)"
    ]


@pytest.mark.parametrize(
    ("row", "entry", "wanted"),
    [
        (ROW, "GP:Array[Float64],DS:Float64", "entry fields: found GP, DS, wanted GT, of type call"),
        (ROW, "GT:Int32", "entry fields: found GT, wanted GT, of type call"),
        (ROW.replace("37", "38"), ENTRY, "locus: found GRCh38, wanted GRCh37"),
        (
            "variant:String,cadd:Float64",
            ENTRY,
            "row fields: found variant: String, cadd: Float64, wanted rows keyed by locus and alleles",
        ),
    ],
)
def test_matrix_table__bad_fields(tmp_path: Path, row: str, entry: str, wanted: str):
    path = write_metadata(tmp_path / "a.mt", row, entry)
    assert faults_of(matrix_table=str(path)) == [f"{path}: {wanted}"]


def test_matrix_table__not_finished_absent_or_no_metadata(tmp_path: Path):
    finished = "wanted a folder that Hail finished writing"
    path = write_metadata(tmp_path / "a.mt")
    (path / "_SUCCESS").unlink()
    assert faults_of(matrix_table=str(path)) == [
        f"{path}: input.matrix_table: found no _SUCCESS in it, {finished}"
    ]
    assert faults_of(matrix_table=f"{tmp_path}/none") == [
        f"{tmp_path}/none: input.matrix_table: found no metadata.json.gz in it, {finished}"
    ]
    (path / "_SUCCESS").touch()
    for content in (b"text", gzip.compress(b"{}"), gzip.compress(b'{"matrix_type": "Matrix"}')):
        (path / "metadata.json.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"input.matrix_table: found metadata of no MatrixTable \(\w+\)"):
            read_table_type(str(path), "input.matrix_table")


def test_vds__header_without_hail(shared_data: Path):
    path = shared_data / "01_hail_test_resources" / "vds" / "1kg_chr22_5_samples.vds"
    config = build_config(InputConfig, {"vds": str(path)}, "test")
    (header,), faults = inspect_headers(config, "GRCh38")
    assert faults == []
    assert header.format_fields == ("GT", "AD", "DP", "GQ", "PL")
    assert inspect_headers(config, "GRCh37")[1] == [
        f"{path}/variant_data: locus: found GRCh38, wanted GRCh37"
    ]


def test_vds__without_local_or_global_calls(tmp_path: Path):
    write_metadata(tmp_path / "a.vds" / "variant_data", entry="LAD:Array[Int32]")
    write_metadata(tmp_path / "a.vds" / "reference_data", "locus:Locus(GRCh37)", "END:Int32")
    assert faults_of(vds=f"{tmp_path}/a.vds") == [
        f"{tmp_path}/a.vds/variant_data: entry fields: found LAD, wanted LGT or GT, of type call"
    ]
    assert faults_of(vds=f"{tmp_path}/a.mt") == [
        f"{tmp_path}/a.mt/variant_data: input.vds: found no metadata.json.gz in it, "
        "wanted a folder that Hail finished writing"
    ]


def test_hail_sources__files_tell_that_a_table_was_written_anew(tmp_path: Path):
    path = write_metadata(tmp_path / "a.mt")
    source = open_source(build_config(InputConfig, {"matrix_table": str(path)}, "test"))
    assert source.needs_hail
    tables = ("", "rows/rows/", "cols/rows/")
    assert source.files() == [f"{path}/{table}metadata.json.gz" for table in tables]
    assert source.size() == (path / "metadata.json.gz").stat().st_size
