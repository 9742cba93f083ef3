import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from contract.errors import InputError
from train.evaluate import METRICS_NAME
from train.figures import wilson
from train.names import interval_text
from train.report import render_report, write_report


def test_render_report__holds_scores_curves_and_provenance(evaluated_run: Path):
    html = render_report(evaluated_run)
    metrics = json.loads((evaluated_run / METRICS_NAME).read_text())
    for name in ("cnn", "logistic", "covariates"):
        assert interval_text(metrics[name]["auroc"]) in html
    for figure in ("learning", "roc", "precision-recall", "calibration", "scores"):
        assert html.count(f'id="{figure}"') == 1
    assert metrics["manifest_digest"] in html
    assert "Null run" not in html


def test_render_report__nothing_is_loaded_and_nobody_is_named(evaluated_run: Path):
    html = render_report(evaluated_run)
    page = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"(src|href)=[\"']https?:", page)
    assert not re.search(r"S\d{6}", page)


def test_write_report__null_run_says_so(evaluated_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(evaluated_run, tmp_path / "copy"))
    metrics = json.loads((run / METRICS_NAME).read_text())
    (run / METRICS_NAME).write_text(json.dumps(metrics | {"permuted_labels": True}))
    assert "Null run: the labels were permuted" in write_report(run).read_text()


def test_write_report__run_not_evaluated(tmp_path: Path):
    with pytest.raises(
        InputError, match=r"metrics.json: whole file: found no such file, wanted an evaluated run"
    ):
        write_report(tmp_path)


def test_wilson__by_hand():
    # 5 of 10: centre .5, half-width 1.96 * sqrt(.025 + .0096) / 1.384.
    low, high = wilson(np.array([0.5]), np.array([10]))
    assert (low[0], high[0]) == pytest.approx((0.2366, 0.7634), abs=1e-4)
