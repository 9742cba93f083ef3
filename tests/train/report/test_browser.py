"""The training report as a browser shows it. Skipped by name where there is no Chromium."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.train.report.example import add_everything
from train.report.html import render_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_report__draws_every_figure_without_an_error(evaluated_run: Path, tmp_path: Path):
    run = add_everything(Path(shutil.copytree(evaluated_run, tmp_path / "run")))
    page = tmp_path / "report.html"
    page.write_text(render_report(run), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    folder = f"--user-data-dir={tmp_path / 'profile'}"
    shown = subprocess.run(
        [CHROMIUM, *flags, "--enable-logging=stderr", folder, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    places = re.findall(r'<div class="plot[^"]*" id="figure-(\w+)"', shown.stdout)
    assert re.search(rf'<body data-figures="{len(places)}"', shown.stdout), "not all were drawn"
    assert shown.stdout.count('<div class="plot js-plotly-plot"') == len(places) == 12
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []
