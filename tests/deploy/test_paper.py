import json
from pathlib import Path

import pytest

from deploy.evidence.cells import CellStore
from deploy.evidence.paper_figure import draw, write_figure
from deploy.evidence.protocols import PROTOCOLS
from deploy.evidence.published import Training
from deploy.evidence.replicates import make_ours, make_replicate
from deploy.evidence.settings import CohortSettings
from deploy.paper import OURS, TITLES, cohort_settings, figures, tell

PROJECT = Path(__file__).resolve().parents[2]
TRAINING = Training(max_epochs=2)


def tiny(seed: int) -> CohortSettings:
    architecture = {"n_constrained": 40, "constrained_alleles": [3.0], "other_alleles": [6.0],
                    "effect_of_channels": [1.0]}  # fmt: skip
    smaller = {"n_people": 180, "n_judges": 60, "n_genes": 80, "n_causal": 20, "architecture": architecture}
    return CohortSettings.model_validate({**cohort_settings(seed).model_dump(), **smaller})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CellStore:
    folder = tmp_path_factory.mktemp("paper")
    store = CellStore(folder / "cells")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        for seed in (1, 2):
            make_replicate(store, tiny(seed), TRAINING, folder)
        make_ours(store, tiny(2), folder, "data.reader=arrow", "run.device=cpu", "stopping.max_epochs=1")
    return store


def test_figures__each_protocol_with_intervals(store):
    found = json.loads(json.dumps(figures(store, [tiny(1), tiny(2)], TRAINING)))
    for name in (OURS, *PROTOCOLS):
        for measure in ("accuracy", "auroc", "auroc_within_batch"):
            assert (
                found[name][measure]["low"]
                <= found[name][measure]["estimate"]
                <= found[name][measure]["high"]
            )
    assert 0.5 < found["oracle_auroc"] < 1
    assert 0.4 < found["majority_share"] < 0.7
    assert set(found["steps"]) == {*PROTOCOLS[1:], "all_together"}
    assert found["cohorts"] == 2
    tell(found)


def test_figures__steps_add_up(store):
    found = figures(store, [tiny(1)], TRAINING)
    steps = [found["steps"][name]["accuracy"]["estimate"] for name in PROTOCOLS[1:]]
    assert sum(steps) == pytest.approx(found["steps"]["all_together"]["accuracy"]["estimate"], abs=1e-3)
    assert found["steps"]["test_chooses_epoch"]["accuracy"]["estimate"] >= 0


def test_make_replicate__a_finished_one_is_kept(store, tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.evidence.replicates.open_cohort", lambda *_: pytest.fail("drawn again"))
    before = figures(store, [tiny(1)], TRAINING)
    make_replicate(store, tiny(1), TRAINING, tmp_path)
    assert figures(store, [tiny(1)], TRAINING) == before


def test_figures__without_ours(store):
    assert OURS not in figures(store, [tiny(1)], TRAINING)


def test_cohort_settings__the_papers_size():
    settings = cohort_settings(1)
    assert settings.n_people + settings.n_judges == 12_000
    assert (settings.n_genes, settings.channels) == (18_970, ("plof",))
    assert settings.architecture.case_share == pytest.approx(4_969 / 11_214)


def test_cohort_settings__shrunk_in_people_and_genes_alike():
    whole, part = cohort_settings(1), cohort_settings(1, 6)
    assert (part.n_people, part.n_judges, part.n_genes) == (1_800, 200, 3_161)
    share = [settings.n_causal / settings.architecture.n_constrained for settings in (whole, part)]
    assert share[0] == pytest.approx(share[1])


def test_write_figure__has_every_protocol(store, tmp_path):
    found = figures(store, [tiny(1), tiny(2)], TRAINING)
    page = write_figure(found, TITLES, tmp_path, "paper").read_text(encoding="utf-8")
    assert "cdn.plot.ly" not in page.split("Plotly.newPlot")[1]
    labels = draw(found, TITLES).data[0].y
    assert list(labels) == [TITLES[name] for name in (OURS, *PROTOCOLS)]
