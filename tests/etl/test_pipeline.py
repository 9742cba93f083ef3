import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from contract.config import dump_config
from contract.dataset import read_samples
from contract.errors import InputError
from contract.manifest import read_manifest
from contract.people_tables import read_kinship, read_people_qc
from etl.__main__ import app
from etl.pipeline import plan, run
from etl.steps import STEPS
from tests.etl.study import Study

QUIET = Console(quiet=True)
UNREACHABLE = {"thresholds__variant__max_alleles": 2, "thresholds__variant__min_call_rate": 1.0}


@pytest.fixture
def again(finished: Study, tmp_path: Path) -> Study:
    """A copy of the finished run that a test may change."""
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    return Study(finished.cohort, out, finished.truth)


def to_do(study: Study, **changes: object) -> list[str]:
    return [status.step.name for status in plan(study.config(**changes)) if not status.done]


def names_from(first: str) -> list[str]:
    names = [step.name for step in STEPS]
    return names[names.index(first) :]


def marks(study: Study) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in study.out.glob("steps/*/record.json")}


def test_plan__everything_before_the_first_run(simulated: Study, tmp_path: Path):
    fresh = Study(simulated.cohort, tmp_path / "fresh", simulated.truth)
    statuses = plan(fresh.config())
    assert [status.step.number for status in statuses] == list(range(1, 12))
    assert {status.reason for status in statuses} == {"not computed yet"}
    assert not fresh.out.exists(), "a plan writes nothing"


@pytest.mark.parametrize(
    ("changes", "first", "reason"),
    [
        ({"thresholds__genotype__min_dp": 9}, "ingest", "changed: genotype.min_dp"),
        ({"thresholds__sample__min_mean_dp": 29}, "sample_metrics", "changed: sample.min_mean_dp"),
        ({"thresholds__relatedness__max_r2": 0.2}, "relatedness", "changed: relatedness.max_r2"),
        ({"folds__test": 3}, "ancestry", "changed: test_fold"),
        ({"thresholds__variant__min_hwe_p": 1.0e-5}, "variant_qc", "changed: variant.min_hwe_p"),
        ({"annotation__padding": 10}, "annotation", "changed: annotation.padding"),
        ({"masks__preset": "genebass"}, "masks", "changed: masks"),
        ({"row_group_size": 32}, "dataset", "changed: row_group_size"),
        ({"association__firth_p": 0.1}, "association", "changed: association.firth_p"),
    ],
)
def test_plan__a_changed_setting_and_all_after_it(
    finished: Study, changes: dict[str, object], first: str, reason: str
):
    assert to_do(finished, **changes) == names_from(first)
    statuses = {status.step.name: status for status in plan(finished.config(**changes))}
    assert statuses[first].reason == reason
    later = {statuses[name].reason.split(":")[0] for name in names_from(first)[1:]}
    assert later <= {"an earlier step is computed again", "changed"}


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("dataset/manifest.json", "dataset"),
        ("associations.parquet", "association"),
        ("qc_report.html", "report"),
    ],
)
def test_plan__an_output_that_was_removed_is_made_again(again: Study, name: str, first: str):
    assert to_do(again) == names_from("dataset"), "the dataset's place is one of its settings"
    run(again.config(), console=QUIET)
    (again.out / name).unlink()
    assert to_do(again) == names_from(first)


def test_plan__a_changed_input_file(finished: Study, tmp_path: Path):
    cohort = tmp_path / "cohort"
    shutil.copytree(finished.cohort, cohort)
    moved = Study(cohort, finished.out, finished.truth)
    assert to_do(moved) == names_from("ingest"), "another path is another input"


def test_run__unchanged_does_nothing(finished: Study):
    before = marks(finished)
    run(finished.config(), console=QUIET)
    assert marks(finished) == before
    assert len(before) == 11


def test_run__recomputes_from_the_change_on(again: Study):
    before = marks(again)
    run(again.config(masks__preset="genebass"), console=QUIET)
    after = marks(again)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"07_masks", "08_aggregation", "09_dataset", "10_association", "11_report"}
    manifest = read_manifest(str(again.out / "dataset"))
    assert [channel.name for channel in manifest.channels] == [
        "plof",
        "missense_or_low_confidence",
        "synonymous",
    ]
    assert to_do(again, masks__preset="genebass") == []


def test_run__nobody_left_is_told_and_everything_earlier_stays(again: Study):
    before, manifest = marks(again), (again.out / "dataset/manifest.json").read_bytes()
    with pytest.raises(
        InputError, match=r"samples\.tsv: people: found none left after sample quality control"
    ):
        run(again.config(thresholds__sample__min_mean_dp=1000), console=QUIET)
    assert marks(again) == before
    assert (again.out / "dataset/manifest.json").read_bytes() == manifest
    assert to_do(again, thresholds__sample__min_mean_dp=1000) == names_from("sample_metrics")


@pytest.mark.slow
def test_run__no_variant_left_is_told_with_the_reasons(again: Study):
    with pytest.raises(InputError, match=r"variants: found none left \(.*call_rate \d+"):
        run(again.config(thresholds__variant__min_hwe_p=1.0, **UNREACHABLE), console=QUIET)
    assert (again.out / "dataset/manifest.json").exists()


def test_run__a_record_in_two_files_counts_once(finished: Study):
    manifest = read_manifest(str(finished.out / "dataset"))
    (repeated,) = [entry for entry in manifest.ledger if entry.reason == "repeated"]
    assert (repeated.step, repeated.unit, repeated.count) == ("ingest", "variants", 1)


def test_run__relatives_share_a_fold_and_everybody_has_metrics(finished: Study):
    root = str(finished.out / "dataset")
    manifest = read_manifest(root)
    pairs, metrics = read_kinship(root, manifest), read_people_qc(root, manifest)
    fold_of = {
        sample: fold.index
        for fold in manifest.folds
        for sample in read_samples(root, manifest, [fold.index], ["sample_index"])["sample_index"]
    }
    assert len(pairs)
    assert pairs["kinship"].min() >= 0.0884
    assert (pairs["sample_index_1"].map(fold_of) == pairs["sample_index_2"].map(fold_of)).all()
    assert metrics.index.tolist() == list(range(manifest.n_samples))
    assert metrics["call_rate"].between(0.5, 1).all()
    assert {"mean_dp", "mean_gq", "n_singleton", "r_ti_tv"} <= set(metrics.columns)


def test_record__says_what_it_was_made_from(finished: Study):
    record = json.loads((finished.out / "steps/05_variant_qc/record.json").read_text())
    assert record["settings"]["variant"]["min_hwe_p"] == 1e-6
    assert record["software"]["hail"].startswith("0.2.")
    assert len(record["digest"]) == 16


def test_command_plan__shows_every_step_and_why(finished: Study, tmp_path: Path):
    path = tmp_path / "etl.yaml"
    path.write_text(dump_config(finished.config()))
    done = CliRunner().invoke(app, ["plan", str(path), "masks.preset=genebass"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [step.folder for step in STEPS]
    assert lines[0].endswith("up to date")
    assert lines[6].endswith("to do (changed: masks)")
    assert lines[10].endswith("to do (an earlier step is computed again)")
