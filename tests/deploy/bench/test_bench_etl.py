import gzip
import os
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.bench.bench_etl import app
from deploy.bench.etl import etl_figures, folder_bytes, speed, text_bytes
from deploy.bench.parts import Part, write_part
from deploy.bench.scaling import factors, step_costs
from deploy.bench.table import etl_alone_table
from deploy.measure import Measured
from etl.bgzf import END_OF_FILE, compress
from tests.deploy.bench.finished import finished_run

HEADER = "##fileformat=VCFv4.2\n##source=≥\n"
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
PEOPLE = ("A1", "A10", "B", "C")


def records(contig: str, n: int) -> list[str]:
    calls = "\t".join(f"0/{number % 2}:{number}" for number in range(len(PEOPLE)))
    return [f"{contig}\t{position}\t.\tA\tG\t.\t.\t.\tGT:DP\t{calls}" for position in range(1, n + 1)]


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Four people, ten records of chr1 and four of chr2."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    lines = ["\t".join([*COLUMNS, *PEOPLE]), *records("chr1", 10), *records("chr2", 4)]
    text = HEADER + "".join(f"{line}\n" for line in lines)
    (folder / "cohort.vcf.bgz").write_bytes(compress(text.encode()) + END_OF_FILE)
    # The table is in another order, and one name is the beginning of another.
    rows = [f"case\t{name}\tmale" for name in ("C", "A10", "A1", "B")]
    (folder / "samples.tsv").write_text("\n".join(["status\tsample_id\tsex", *rows]) + "\n")
    (folder / "genes.gtf").write_text("genes\n")
    (folder / "constraint.tsv").write_text("loeuf\n")
    return folder


def lines_of(folder: Path) -> list[list[str]]:
    with gzip.open(folder / "cohort.vcf.bgz", "rt", encoding="utf-8") as stream:
        return [line.rstrip("\n").split("\t") for line in stream if not line.startswith("##")]


def test_write_part__the_first_people(cohort: Path, tmp_path: Path):
    write_part(cohort, Part(people=2), tmp_path / "part")
    whole, part = lines_of(cohort), lines_of(tmp_path / "part")
    assert part == [line[:11] for line in whole]
    assert part[0][9:] == ["A1", "A10"]
    rows = (tmp_path / "part" / "samples.tsv").read_text().splitlines()
    assert [row.split("\t")[1] for row in rows] == ["sample_id", "A10", "A1"]
    assert (tmp_path / "part" / "genes.gtf").read_text() == "genes\n"
    assert (tmp_path / "part" / "constraint.tsv").read_text() == "loeuf\n"


def test_write_part__records_that_somebody_carries(cohort: Path, tmp_path: Path):
    # By `records`, the second and fourth person carry an allele everywhere; the first and third nowhere.
    write_part(cohort, Part(people=1, carried=True), tmp_path / "nobody")
    assert lines_of(tmp_path / "nobody") == [["#CHROM", *COLUMNS[1:], "A1"]]
    write_part(cohort, Part(people=2, carried=True), tmp_path / "part")
    assert len(lines_of(tmp_path / "part")) == 1 + 14


def test_write_part__every_second_record_of_all_contigs(cohort: Path, tmp_path: Path):
    write_part(cohort, Part(every=2), tmp_path / "part")
    header, *part = lines_of(tmp_path / "part")
    assert header[9:] == list(PEOPLE)
    assert [(line[0], line[1]) for line in part] == [
        *(("chr1", str(position)) for position in (1, 3, 5, 7, 9)),
        ("chr2", "1"),
        ("chr2", "3"),
    ]
    assert (tmp_path / "part/samples.tsv").read_text() == (cohort / "samples.tsv").read_text()


def test_write_part__some_records_of_the_first_contig_half_of_them_common(cohort: Path, tmp_path: Path):
    # In records 3, 6 and 9 nobody has an alternate allele; in all others half of the people do.
    text = gzip.decompress((cohort / "cohort.vcf.bgz").read_bytes()).decode()
    for position in (3, 6, 9):
        line = next(row for row in text.splitlines() if row.startswith(f"chr1\t{position}\t"))
        text = text.replace(line, line.replace("0/1:", "0/0:"))
    (cohort / "cohort.vcf.bgz").write_bytes(compress(text.encode()) + END_OF_FILE)
    write_part(cohort, Part(records=4), tmp_path / "part")
    assert [line[:2] for line in lines_of(tmp_path / "part")[1:]] == [
        ["chr1", "1"],
        ["chr1", "3"],
        ["chr1", "5"],
        ["chr1", "6"],
    ]
    write_part(cohort, Part(records=100), tmp_path / "part")
    assert {line[0] for line in lines_of(tmp_path / "part")[1:]} == {"chr1"}
    assert len(lines_of(tmp_path / "part")) == 11


def test_text_bytes__of_several_blocks(tmp_path: Path):
    path = tmp_path / "text.bgz"
    path.write_bytes(compress(b"a" * 200_000) + compress(b"bc\n") + END_OF_FILE)
    assert text_bytes(path) == 200_003


def test_etl_figures__of_the_records_and_the_whole_process(tmp_path: Path):
    out = finished_run(tmp_path, passes_over_calls=1)
    figures = etl_figures(out, Measured(seconds=16.0, peak_rss_mb=900.0, returncode=0))
    assert figures["step_seconds"]["03_relatedness"] == 3.0
    assert (figures["people"], figures["variants"]) == (8, 100)
    assert (figures["ingest_seconds"], figures["kinship_seconds"]) == (4.0, 5.0)
    assert (figures["startup_seconds"], figures["etl_seconds_without_kinship"]) == (6.0, 11.0)
    assert (figures["passes_over_vcf"], figures["passes_over_calls"]) == (None, 4)
    assert figures["cohort_mb"] == 3.0
    cores = len(os.sched_getaffinity(0))
    assert speed(figures, 2_000_000) == {
        "vcf_text_mb": 2.0,
        "genotypes_per_core_second": 200 / cores,
        "text_mb_per_core_second": 0.5 / cores,
    }


def test_folder_bytes__absent_is_none(tmp_path: Path):
    assert folder_bytes(tmp_path / "absent") == 0


def test_factors__whole_by_half():
    whole = {"ingest_seconds": 4.0, "etl_seconds_without_kinship": 9.0}
    half = {"ingest_seconds": 2.0, "etl_seconds_without_kinship": 6.0}
    assert factors(whole, half) == {"ingest_factor": 2.0, "etl_factor_without_kinship": 1.5}


def test_step_costs__of_each_run_that_has_the_step():
    half = {"people": 4, "variants": 100, "step_seconds": {"01_ingest": 2.0}}
    whole = {"people": 8, "variants": 100, "step_seconds": {"01_ingest": 3.0, "03_relatedness": 1.5}}
    assert step_costs([half, whole]) == {
        "01_ingest": [
            {"people": 4, "variants": 100, "seconds": 2.0},
            {"people": 8, "variants": 100, "seconds": 3.0},
        ],
        "03_relatedness": [{"people": 8, "variants": 100, "seconds": 1.5}],
    }


def test_etl_alone_table__shows_what_was_measured(tmp_path: Path):
    out = finished_run(tmp_path)
    figures = etl_figures(out, Measured(seconds=16.0, peak_rss_mb=900.0, returncode=0))
    figures |= speed(figures, 2_000_000)
    figures |= {"bare_import_seconds": 8.0, "bare_write_seconds": 7.0, "ingest_ratio": 0.5}
    figures |= {"etl_ratio": 2.0, "etl_ratio_without_kinship": 1.375}
    figures |= {"twice_the_people": {"ingest_factor": 1.987, "etl_factor_without_kinship": 1.5}}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(etl_alone_table(figures))
    text = captured.get()
    for shown in ("8 people × 100 variants", "16.0 s", "1.38", "03_relatedness", "900 MB", "1.99 times"):
        assert shown in text
    assert text.count("not told") == 2
    assert "twice the variants" not in text


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("etl", "command line: override: found 'etl', wanted key=value"),
        ("gene=10", "command line: gene: found an unknown key"),
        ("people=many", "people"),
    ],
)
def test_bench__refuses_what_it_does_not_know(argument: str, told: str):
    done = CliRunner().invoke(app, [argument])
    assert done.exit_code == 2
    assert told in done.output
