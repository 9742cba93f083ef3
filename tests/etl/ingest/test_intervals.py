import gzip
from pathlib import Path

import pytest

from contract.errors import InputError
from etl.config import IntervalsConfig
from etl.ingest.intervals import Intervals, read_intervals, read_low_complexity
from tests.etl.ingest.reading import read
from tests.etl.mini import RECORDS, vcf_text, write_bgzip


def intervals(folder: Path, text: str, padding: int = 0) -> Intervals:
    path = folder / "targets.bed"
    path.write_text(text)
    return read_intervals(IntervalsConfig(bed=str(path), padding=padding), "GRCh38")


def test_read_intervals__bed_starts_at_0_and_leaves_its_end_out(tmp_path: Path):
    found = intervals(tmp_path, "chr1\t100\t200\n")
    inside = [position for position in (100, 101, 200, 201) if found.overlap("chr1", position, position)]
    assert inside == [101, 200]
    assert found.overlap("chr1", 95, 101)  # a deletion that reaches in
    assert not found.overlap("chr2", 150, 150)


def test_read_intervals__padding_merges_neighbours(tmp_path: Path):
    found = intervals(
        tmp_path, "chr1\t100\t200\tname\nchr1\t290\t300\nchr1\t120\t130\nchr2\t5\t6\n", padding=50
    )
    assert {name: starts.tolist() for name, starts in found.starts.items()} == {"chr1": [51], "chr2": [-44]}
    assert {name: ends.tolist() for name, ends in found.ends.items()} == {"chr1": [350], "chr2": [56]}


def test_read_intervals__headers_names_without_chr_and_unplaced_contigs(tmp_path: Path):
    text = '#targets\nbrowser position chr1\ntrack name="x"\n1\t10\t20\nMT\t1\t2\nGL000192.1\t1\t5\n'
    assert set(intervals(tmp_path, text).starts) == {"chr1", "chrM"}


def test_read_intervals__compressed(tmp_path: Path):
    path = tmp_path / "targets.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t10\t20\n"))
    assert read_intervals(IntervalsConfig(bed=str(path)), "GRCh38").starts["chr1"].tolist() == [-39]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("chr1\t20\t10\n", r"targets.bed: interval: found chr1 20 10, wanted contig, start < end from 0"),
        ("chr1\tx\t10\n", r"interval: found chr1 x 10"),
        ("chr21\t1\t46709984\n", r"interval: found chr21 46709984, wanted positions of GRCh38"),
        ("GL1\t1\t10\n", r"intervals: found none on a primary contig, wanted some"),
        ("", r"targets.bed: intervals: found none on a primary contig"),
    ],
)
def test_read_intervals__faults(tmp_path: Path, text: str, told: str):
    with pytest.raises(InputError, match=told):
        intervals(tmp_path, text)


def test_read_intervals__no_such_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.bed: intervals\.bed: found no readable file \(No such file"):
        read_intervals(IntervalsConfig(bed=str(tmp_path / "none.bed")), "GRCh38")


def test_reading__depth_is_summed_over_good_sites_inside_the_intervals(tmp_path: Path):
    inside, outside = RECORDS  # at 1100 and 1200; depth 30 each
    failing = inside.replace("1100", "1110").replace("PASS", "LOW").replace(":30:", ":99:")
    path = write_bgzip(
        tmp_path / "a.vcf.bgz", vcf_text(records=[inside, failing, outside.replace(":30:", ":50:")])
    )
    everywhere, totals = read(path)
    assert everywhere.column("site_reasons").to_pylist() == [[], ["filter_not_pass"], []]
    assert totals.sums_8P is not None
    assert totals.sums_8P[:2].tolist() == [[2] * 4, [80] * 4]
    targets = intervals(tmp_path, "chr1\t1090\t1150\n")
    captured, totals = read(path, intervals=targets)
    assert captured.column("site_reasons").to_pylist() == [[], ["filter_not_pass"], ["outside_intervals"]]
    assert totals.sums_8P is not None
    assert totals.sums_8P[:2].tolist() == [[1] * 4, [30] * 4]
    assert totals.sums_8P[2:4].tolist() == [[1] * 4, [60, 99, 60, 99]]


def test_read_low_complexity__variants_inside_are_marked(tmp_path: Path):
    bed = tmp_path / "low.bed"
    bed.write_text("chr1\t1099\t1100\n")
    path = write_bgzip(tmp_path / "a.vcf.bgz", vcf_text(records=RECORDS))
    table, _ = read(path, low_complexity=read_low_complexity(str(bed), "GRCh38"))
    marked = dict(
        zip(table.column("position").to_pylist(), table.column("site_reasons").to_pylist(), strict=True)
    )
    assert marked.pop(1100) == ["low_complexity"]
    assert set(map(tuple, marked.values())) == {()}


def test_read_low_complexity__no_such_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.bed: low_complexity: found no readable file"):
        read_low_complexity(str(tmp_path / "none.bed"), "GRCh38")
