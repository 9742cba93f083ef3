import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.evidence.cells import CellStore
from deploy.evidence.grid import PLANNED, Planned, planned
from deploy.evidence.table import ROW, differences, null_figures, rows
from deploy.truth_evidence import app, figures, run_cohort

PROJECT = Path(__file__).resolve().parents[2]
TINY = Planned(
    name="null",
    cohort={"form": "null", "n_people": 180, "n_judges": 60, "n_genes": 20, "n_causal": 5},
    models=("network", "no such model"),
    seeds=(1,),
    audited=True,
    overrides=("data.reader=arrow", "run.device=cpu", "stopping.max_epochs=2"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth-evidence")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        run_cohort(TINY, CellStore(folder / "cells"), folder)
    return folder


def test_run_cohort__a_tiny_cell_from_end_to_end(finished):
    (found,) = rows(CellStore(finished / "cells"), [TINY])
    assert set(ROW) <= set(found)
    assert (found["cohort"], found["people"], found["genes"], found["seed"]) == ("null", 180, 20, 1)
    assert (found["model"], found["oracle"]) == ("network", 0.5)
    assert found["low"] < found["auroc"] < found["high"]
    assert found["seconds"] > 0
    assert found["verdict"] in ("nothing_found", "passed", "failed")


def test_run_cohort__goes_on_where_it_was_stopped(finished, monkeypatch):
    store = CellStore(finished / "cells")
    before = figures(store, [TINY])
    monkeypatch.setattr("deploy.truth_evidence.open_cohort", lambda *_: pytest.fail("drawn again"))
    run_cohort(TINY, store, finished)
    assert figures(store, [TINY]) == before
    assert json.loads(json.dumps(before))["null"] == null_figures(store, TINY)
    assert null_figures(store, TINY)["seeds"] == 1


def test_differences__need_both_models(finished):
    assert differences(CellStore(finished / "cells"), [TINY]) == []


def test_planned__three_seeds_of_people_and_of_genes():
    settings = [planned("shared_4000").settings(seed) for seed in (1, 2, 3)]
    assert [(one.people_seed, one.truth_seed) for one in settings] == [(1, 7), (2, 8), (3, 9)]
    assert all(plan.settings(1).n_judges >= 1_000 for plan in PLANNED)


def test_main__an_unknown_name():
    found = CliRunner().invoke(app, ["--only", "shared"])
    assert found.exit_code == 2
    assert "found shared, wanted some of" in found.output
