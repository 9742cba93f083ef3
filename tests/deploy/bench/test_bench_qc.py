import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.bench import bench_qc
from deploy.bench.bench_qc import LIMITS, app, measure_growth, measure_kinship, qc_tables
from deploy.bench.commands import CommandFailed
from deploy.bench.etl import etl_figures, speed
from deploy.bench.kinship import draw_markers, estimate, n_parents
from deploy.bench.sizes import QcSizes
from deploy.measure import Measured
from tests.deploy.bench.finished import finished_run


def test_draw_markers__parents_children_and_strangers():
    markers = draw_markers(400, 1200, seed=1)
    dosage = markers.dosages(0, len(markers))
    assert np.isnan(dosage).mean() == pytest.approx(0.005, abs=0.001)
    opposite = np.array([(np.abs(dosage[:, 0] - dosage[:, place]) == 2).mean() for place in range(1, 400)])
    # Never between the first parent and the child, the next one.
    assert opposite[0] == 0 < opposite[1:].min()
    assert n_parents(400) == 4


@pytest.mark.usefixtures("hail_session")
def test_estimate__finds_the_pairs_that_were_drawn(tmp_path: Path):
    told = estimate(300, 2500, tmp_path)
    assert told["pairs_found"] == told["pairs_drawn"] == 3
    assert told["seconds"] > told["pruning_seconds"] > 0
    assert 2000 < told["markers"] <= 2500


def test_measure_kinship__names_carry_the_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def measured(command: list[str]) -> Measured:
        assert command[2:5] == ["deploy.bench.kinship", "300", "2500"]
        (Path(command[5]) / "kinship.json").write_text(json.dumps({"seconds": 5.0, "markers": 2400}))
        return Measured(seconds=9.0, peak_rss_mb=700.0, returncode=0)

    monkeypatch.setattr(bench_qc, "measure", measured)
    sizes = QcSizes(people=200, kinship_people=300, kinship_markers=2500)
    assert measure_kinship(tmp_path, sizes, {"kinship_seconds": 3.0}) == {
        "kinship_200_seconds": 3.0,
        "kinship_300_seconds": 5.0,
        "kinship_300_peak_rss_mb": 700.0,
        "kinship_300": {"markers": 2400},
    }


def test_measure_growth__of_what_was_measured():
    half = {"etl_factor_without_kinship": 1.5}
    assert measure_growth(Path(), QcSizes(), {"twice_the_people": half}) == {"growth_people": 1.5}


def test_qc_tables__figures_beside_their_limits(tmp_path: Path):
    figures = etl_figures(finished_run(tmp_path), Measured(seconds=16.0, peak_rss_mb=900.0, returncode=0))
    figures |= speed(figures, 2_000_000)
    figures |= {"bare_import_seconds": 8.0, "bare_write_seconds": 7.0, "ingest_ratio": 0.5}
    figures |= {"etl_ratio_without_kinship": 1.375, "etl_ratio": 1.187, "kinship_12000_seconds": 91.6}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(qc_tables(figures))
    text = captured.get()
    for shown in ("03_relatedness", "whole ETL by bare import", "1.19", "91.60", "360"):
        assert shown in text
    assert LIMITS["growth_people"][1] not in text, "it was not measured"


def test_run_suite__figures_of_earlier_parts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(folder: Path, sizes: QcSizes, figures: dict) -> dict:
        raise CommandFailed("status 3 from: it")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_qc, "measure_cohort", lambda folder, sizes, figures: {"people": sizes.people})
    monkeypatch.setattr(bench_qc, "measure_scaling", fails)
    done = CliRunner().invoke(app, ["people=200"])
    assert done.exit_code == 1
    assert json.loads(Path("build/figures/bench-qc.json").read_text())["people"] == 200


def test_bench__refuses_what_it_does_not_know():
    done = CliRunner().invoke(app, ["kinship_people=3"])
    assert done.exit_code == 2
    assert "kinship_people" in done.output
