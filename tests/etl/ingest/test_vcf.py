import gzip
import re
from pathlib import Path

import pyarrow.parquet as pq
import pysam.bcftools
import pytest

from contract.errors import InputError
from etl.ingest.ranges import FileRange
from etl.ingest.vcf import read_range
from tests.etl.ingest.reading import calls, read, settings, whole
from tests.etl.mini import HEADER, RECORDS, vcf_text, write_bgzip

X_HEADER = HEADER.replace("##contig=<ID=chr1,length=248956422>", "##contig=<ID=chrX,length=156040895>")


def record(contig: str, position: int, alleles: str, calls_text: str, *, info: str = ".") -> str:
    ref, alt = alleles.split()
    return (
        f"{contig}\t{position}\t.\t{ref}\t{alt}\t50\tPASS\t{info}\tGT\t"
        + "\t".join(calls_text.split())
        + "\n"
    )


def written(folder: Path, *records: str, header: str = HEADER) -> Path:
    return write_bgzip(folder / "a.vcf.bgz", vcf_text(header, records=list(records)))


def test_reading__a_row_for_each_allele_with_its_origin(tmp_path: Path):
    path = written(tmp_path, record("chr1", 1000, "CAA CA,CAT", "0/1 1/2 0/0 ./.", info="X=1;CSQ=a|b,c|d;Y"))
    table, totals = read(path)
    first, second = table.to_pylist()
    assert (first["position"], first["ref"], first["alt"], first["a_index"]) == (1000, "CA", "C", 1)
    assert (second["position"], second["ref"], second["alt"], second["a_index"]) == (1002, "A", "T", 2)
    assert first["old_position"] == second["old_position"] == 1000
    assert first["old_alleles"] == ["CAA", "CA", "CAT"]
    assert first["annotation"] == ["a|b", "c|d"]
    assert calls(table) == [["0:0/1", "1:0/1", "3:./."], ["1:0/1", "3:./."]]
    assert (first["n_called"], first["n_het"], first["n_not_called"]) == (3, 2, 1)
    assert totals.counts["records"] == 1
    assert totals.counts["variants"] == 2
    assert totals.counts["genotypes"] == 8
    assert totals.counts["not_called"] == 2


@pytest.mark.parametrize(
    ("half_calls", "wanted"),
    [("missing", ["1:./.", "2:./.", "3:1"]), ("haploid", ["2:1", "3:1"])],
)
def test_reading__half_calls_on_x(tmp_path: Path, half_calls: str, wanted: list[str]):
    path = written(tmp_path, record("chrX", 5_000_000, "A G", "0/0 0/. 1|. 1"), header=X_HEADER)
    table, _ = read(path, half_calls=half_calls)
    assert calls(table) == [wanted]
    assert table.column("region").to_pylist() == ["x"]


def test_reading__half_calls_where_everybody_is_diploid_are_no_calls(tmp_path: Path):
    path = written(tmp_path, record("chr1", 5000, "A G", "0/0 0/. .|1 0/1"))
    assert calls(read(path, half_calls="haploid")[0]) == [["1:./.", "2:./.", "3:0/1"]]


def test_reading__haploid_calls_are_as_they_stand_anywhere(tmp_path: Path):
    path = written(tmp_path, record("chr1", 5000, "A G", "0 1 . 1/1"))
    assert calls(read(path)[0]) == [["1:1", "2:./.", "3:1/1"]]


def test_reading__quality_with_decimals_is_rounded_down(tmp_path: Path):
    path = written(tmp_path, RECORDS[0].replace(":99:", ":45.95:"))
    assert read(path)[0].column("gq").to_pylist() == [[45, 45]]
    assert read(path)[1].sums_8P[3].tolist() == [60, 45, 60, 45]


def test_reading__records_that_are_left_out_are_counted(tmp_path: Path):
    path = written(
        tmp_path,
        record("chrUn_KI270302v1", 5, "A G", "0/1 0/0 0/0 0/0"),
        record("1", 5, "A G", "0/1 0/0 0/0 0/0"),
        record("chr1", 500, "A .", "0/0 0/0 0/0 0/0"),
        record("chr1", 400, "A G", "0/1 0/0 0/0 0/0"),
    )
    table, totals = read(path)
    assert table.num_rows == 1
    assert totals.counts["records"] == 4
    assert totals.counts["contig_outside_reference"] == 2
    assert totals.counts["no_alternate_allele"] == 1
    assert totals.counts["records_out_of_order"] == 1


def test_reading__a_repeated_allele_gives_one_row(tmp_path: Path):
    table, _ = read(written(tmp_path, record("chr1", 5, "A G,G,T", "0/1 0/2 2/3 0/0")))
    assert table.column("alt").to_pylist() == ["G", "T"]
    assert table.column("site_reasons").to_pylist() == [["repeated_allele"], []]


@pytest.mark.parametrize(
    ("calls_text", "told"),
    [
        (
            "0/2 0/0 0/0 0/0",
            r"record chr1:7: found GT with allele 2, wanted 0 to 1: the record has 1 alternate",
        ),
        ("0/0/1 0/0 0/0 0/0", r"record chr1:7: found calls of ploidy 3, wanted haploid and diploid calls"),
        ("0/x 0/0 0/0 0/0", r"record chr1:7: found Couldn't read GT data: .*, wanted genotype columns"),
        ("0/1 0/0 0/0", r"record chr1:7: found 12 columns, wanted 13: eight columns, FORMAT and one column"),
        ("0/1 0/0 0/0 0/0 0/1", r"record chr1:7: found 14 columns, wanted 13"),
    ],
)
def test_reading__calls_that_can_not_be_used_name_the_record(tmp_path: Path, calls_text: str, told: str):
    path = written(
        tmp_path, record("chr1", 5, "A G", "0/1 0/0 0/0 0/0"), record("chr1", 7, "A G", calls_text)
    )
    with pytest.raises(InputError, match=r"a\.vcf\.bgz: " + told):
        read(path)


def test_reading__without_gt_nobody_is_called(tmp_path: Path):
    line = record("chr1", 5, "A G", "7 8 9 .").replace("\tGT\t", "\tDP\t")
    dots = record("chr1", 6, "A G", ". . . .").replace("\tGT\t", "\t.\t")
    table, totals = read(written(tmp_path, line, dots))
    assert table.column("n_not_called").to_pylist() == [4, 4]
    assert totals.sums_8P[:2].tolist() == [[1, 1, 1, 0], [7, 8, 9, 0]]


def test_read_range__ranges_number_their_rows_and_leave_no_other_files(tmp_path: Path):
    path = written(tmp_path, *RECORDS)
    out = tmp_path / "out"
    out.mkdir()
    part = FileRange(5, str(path), "bgzip", 0, path.stat().st_size)
    totals = read_range(part, settings(path), str(out))
    assert [found.name for found in out.iterdir()] == ["part-00005.parquet"]
    assert pq.read_table(out / "part-00005.parquet").column("variant").to_pylist() == [5 << 32, (5 << 32) + 1]
    assert len(totals.keys_V[0]) == 2
    empty = FileRange(6, str(path), "bgzip", path.stat().st_size, path.stat().st_size)
    read_range(empty, settings(path), str(out))
    assert len(list(out.iterdir())) == 1


def test_read_range__a_fault_leaves_nothing(tmp_path: Path):
    path = written(tmp_path, RECORDS[0], record("chr1", 7, "A G", "0/9 0/0 0/0 0/0"))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError, match="allele 9"):
        read_range(whole(path), settings(path), str(out))
    assert list(out.iterdir()) == []


def test_reading__bcf_gives_the_same_rows(tmp_path: Path, shared_data: Path):
    (source,) = (shared_data / "07_1kg_exome_gatk_1182").glob("*.vcf.gz")
    whole_numbers, path = tmp_path / "a.vcf", tmp_path / "a.bcf"
    text = gzip.decompress(source.read_bytes()).decode()
    # bcftools refuses the decimals that this file has in a field of whole numbers.
    whole_numbers.write_text(re.sub(r"(:\d+)\.\d+(?=[:\t\n])", r"\1", text))
    pysam.bcftools.view("-Ob", "-o", str(path), str(whole_numbers), catch_stdout=False)
    found, _ = read(path, reference="GRCh37", judged=True)
    wanted, _ = read(source, reference="GRCh37", judged=True)
    assert wanted.num_rows > 100
    assert found.drop(["annotation"]).equals(wanted.drop(["annotation"]))


def test_reading__exome_with_all_gatk_fields(shared_data: Path):
    (path,) = (shared_data / "07_1kg_exome_gatk_1182").glob("*.vcf.gz")
    _, totals = read(path, reference="GRCh37", judged=True)
    assert totals.counts["records"] == 122
    assert (totals.sums_8P[:4] > 0).all()
