import gzip
import io
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.config import load_config
from contract.errors import InputError
from etl.__main__ import app, console
from etl.bgzf import END_OF_FILE, compress
from etl.config import EtlConfig
from etl.ingest.header import read_header
from etl.sizing import Scale, inputs, scale_of, size_cluster
from etl.sizing.cluster import ingest_partitions
from etl.sizing.costs import COSTS, Cost, StepCost, driver_bytes, worker_bytes
from etl.sizing.inputs import cohort_of, estimated_records
from etl.sizing.scale import ALTERNATE_SHARE, EXOME_ALTERNATES, FAILED_SHARE, MOST_MARKERS
from etl.sizing.text import submit_line
from etl.steps.table import STEPS

CONFIG = Path(__file__).resolve().parents[2] / "conf/etl/demo.yaml"
MILLION = Scale(people=1_000, variants=1_000, calls_per_person=10, markers=100)
"""A million genotypes, 10,000 listed calls, 100,000 genotypes of markers, 50,050,000 pairs at markers."""


def test_step_cost__constant_driver_and_tasks_by_cores():
    cost = StepCost(
        fixed=1.0,
        tasks=(Cost("genotypes", 8.0), Cost("marker_pairs", 0.08)),
        driver=(Cost("listed", 300.0), Cost("marker_genotypes", 5.0)),
    )
    # 1 + 10,000 × 300 / 10⁶ + 100,000 × 5 / 10⁶; the tasks: 8 + 50.05 × 0.08.
    assert cost.seconds(MILLION, cores=4) == pytest.approx(1 + 3 + 0.5 + 12.004 / 4)
    assert cost.core_seconds(MILLION) == pytest.approx(12.004)


def test_costs__every_step_has_one():
    assert list(COSTS) == [step.folder for step in STEPS]


@pytest.mark.parametrize(
    ("size", "vcf_mb", "measured"),
    [
        (
            (1_500, 51_152, 2_200),
            247,
            {"seconds": 54.2, "worker": 270, "driver": 404, "cohort": 22.1, "steps": 28.7, "dataset": 1.90},
        ),
        (
            (2_000, 103_182, 3_850),
            644,
            {"seconds": 84.2, "worker": 383, "driver": 475, "cohort": 49.7, "steps": 61.9, "dataset": 3.24},
        ),
    ],
)
def test_size_cluster__as_measured_in_runs_that_were_not_fitted(size, vcf_mb, measured):
    # Megabytes; seconds of steps on two cores by processor time, see docs/clusters.md.
    people, variants, genes = size
    scale = scale_of(people, variants, genes=genes)
    expected = size_cluster(scale, cores=2, stored_bytes=vcf_mb * 1e6, start_seconds=0)
    told = {
        "seconds": expected.seconds,
        "worker": worker_bytes(scale, expected.partitions) / 1e6,
        "driver": driver_bytes(scale) / 1e6,
        "cohort": expected.cohort_bytes / 1e6,
        "steps": expected.steps_bytes / 1e6,
        "dataset": expected.dataset_bytes / 1e6,
    }
    assert told["seconds"] == pytest.approx(measured["seconds"], rel=0.12)
    assert told == pytest.approx(measured, rel=0.25)


def test_scale_of__small_cohorts_by_shares_and_large_ones_by_the_exome():
    small, large = scale_of(100, 10_000), scale_of(100, 10_000_000)
    assert small.calls_per_person == pytest.approx((FAILED_SHARE + ALTERNATE_SHARE) * 10_000)
    assert large.calls_per_person == pytest.approx(FAILED_SHARE * 10_000_000 + EXOME_ALTERNATES)
    assert scale_of(100, 10_000, calls_per_person=7).listed == 700
    assert (small.markers < MOST_MARKERS, large.markers) == (True, MOST_MARKERS)


@pytest.mark.parametrize(
    ("megabytes", "cores", "partitions"),
    [
        (800, 4, 32),  # 25 MB each
        (800, 1_000, 800),  # none below 1 MB
        (64 * 100, 4, 100),  # none above 64 MB
        (0.1, 4, 1),
    ],
)
def test_ingest_partitions__some_for_each_core_within_limits(megabytes, cores, partitions):
    assert ingest_partitions(megabytes * 2**20, cores) == partitions


def test_size_cluster__whole_executors():
    size = size_cluster(scale_of(1_000, 50_000), cores=6)
    assert (size.executors, size.executor_cores, size.cores, size.shuffle_partitions) == (2, 4, 8, 16)
    assert size_cluster(scale_of(1_000, 50_000), cores=2).executors == 1
    assert size.seconds == size.start_seconds + sum(size.step_seconds.values())
    assert size.core_hours == pytest.approx(8 * size.seconds / 3600)


def test_size_cluster__more_cores_are_faster_but_for_what_the_driver_does():
    scale = scale_of(10_000, 1_000_000)
    few, many = (size_cluster(scale, cores=cores) for cores in (8, 80))
    gained = few.step_seconds["01_ingest"] / many.step_seconds["01_ingest"]
    assert 5 < gained < 10
    assert few.step_seconds["04_ancestry"] == many.step_seconds["04_ancestry"]
    # More cores read smaller parts.
    assert few.executor_overhead_mib > many.executor_overhead_mib


def test_size_cluster__larger_cohorts_want_more_of_everything():
    small, large = (size_cluster(scale_of(*size)) for size in ((2_000, 100_000), (100_000, 4_000_000)))
    for name in ("cores", "partitions", "executor_overhead_mib", "driver_overhead_mib", "shuffle_bytes"):
        assert getattr(small, name) < getattr(large, name), name
    for name in ("cohort_bytes", "steps_bytes", "dataset_bytes", "seconds"):
        assert getattr(small, name) < getattr(large, name), name
    assert large.cohort_bytes < large.steps_bytes


def test_submit_line__asks_for_what_was_sized():
    size = size_cluster(scale_of(10_000, 1_000_000), cores=16)
    words = shlex.split(submit_line(size, ["conf/my cohort.yaml", "folds.seed=2"]))
    assert words[:3] == ["deploy/submit_etl.sh", "--master", "yarn"]
    assert words[words.index("--num-executors") + 1] == "4"
    assert words[words.index("--executor-memory") + 1] == f"{size.executor_heap_mib}m"
    assert f"spark.executor.memoryOverhead={size.executor_overhead_mib}m" in words
    assert "spark.sql.shuffle.partitions=32" in words
    assert words[-2:] == ["conf/my cohort.yaml", "folds.seed=2"]


def write_vcf(path: Path, n_records: int) -> Path:
    """Records of three people, of 100 to 200 bytes each."""
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=chr1,length=248956422>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "A", "B", "C"]),
        *(
            f"chr1\t{1000 + number}\tid{number * 7919 % 10007}\tA\tG\t.\tPASS\tN={number * 104729 % 99991}"
            "\tGT\t0/0\t0/1\t0/0"
            for number in range(n_records)
        ),
    ]
    path.write_bytes(compress("".join(f"{line}\n" for line in lines).encode()) + END_OF_FILE)
    return path


def config_of(path: Path, *overrides: str) -> EtlConfig:
    return load_config(EtlConfig, CONFIG, [f"input.vcf={path}", f"out={path.parent}", *overrides])


def test_estimated_records__a_small_file_is_counted(tmp_path):
    assert estimated_records(read_header(str(write_vcf(tmp_path / "small.vcf.bgz", 137)))) == 137


def test_estimated_records__a_large_file_by_its_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SAMPLE_BYTES", 2**17)
    path = write_vcf(tmp_path / "large.vcf.bgz", 60_000)
    assert path.stat().st_size > 3 * 2**17
    assert estimated_records(read_header(str(path))) == pytest.approx(60_000, rel=0.1)


def test_cohort_of__people_of_the_headers_and_what_is_named(tmp_path):
    config = config_of(write_vcf(tmp_path / "cohort.vcf.bgz", 40))
    cohort = cohort_of(config, people=None, variants=None)
    assert (cohort.people, cohort.variants) == (3, 40)
    assert "people of the headers, variants estimated" in cohort.told
    assert cohort.stored_bytes == (tmp_path / "cohort.vcf.bgz").stat().st_size
    named = cohort_of(config, people=None, variants=9)
    assert (named.people, named.variants, "variants as named" in named.told) == (3, 9, True)
    named = cohort_of(config, people=9, variants=None)
    assert (named.people, named.variants, "people as named" in named.told) == (9, 40, True)


def test_cohort_of__with_both_named_no_file_is_opened(tmp_path):
    cohort = cohort_of(config_of(tmp_path / "absent.vcf.bgz"), people=5, variants=7)
    assert (cohort.people, cohort.variants, cohort.stored_bytes) == (5, 7, None)


def test_cohort_of__a_file_that_can_not_be_cut_wants_the_number(tmp_path):
    packed = write_vcf(tmp_path / "cohort.vcf.bgz", 5)
    path = tmp_path / "cohort.vcf.gz"
    path.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes())))
    with pytest.raises(InputError, match=r"cohort\.vcf\.gz: variants: found .*, wanted --variants N"):
        cohort_of(config_of(path), people=None, variants=None)


def planned(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["plan", str(CONFIG), *arguments])
    return done.exit_code, done.output


def test_plan__cluster_ends_with_the_command(tmp_path):
    status, text = planned(
        "--cluster", "--people", "10000", "--variants", "1200000", "--cores", "64", f"out={tmp_path}"
    )
    assert status == 0
    lines = text.splitlines()
    assert lines[-1].startswith("deploy/submit_etl.sh --master yarn --num-executors 16 --executor-cores 4 ")
    assert lines[-1].endswith(f"{CONFIG} out={tmp_path}")
    shown = (
        "10,000 × 1,200,000",
        "both as named",
        "16 of 4 cores: 64 cores",
        "spark.executor.memoryOverhead",
    )
    for told in (*shown, "sparse cohort", "dataset", "expected time", "two cores"):
        assert told in text


def test_plan__sizes_belong_to_cluster(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(console, "file", written)
    status, _ = planned("--cores", "4")
    assert status == 2
    assert "found no --cluster, wanted --cluster beside them" in written.getvalue()


def test_plan__cluster_tells_what_is_absent(tmp_path):
    status, _ = planned("--cluster", f"data={tmp_path}", f"out={tmp_path}")
    assert status == 2
