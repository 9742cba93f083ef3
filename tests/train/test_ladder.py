import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from contract.config import dump_config, load_config
from contract.dataset import read_samples
from contract.errors import InputError
from contract.example import write_example
from contract.manifest import read_manifest
from tests.train.rivals.cohorts import causal_effects, draw_design
from tests.train.runs import ConfigMaker, config_maker, fit_quietly
from train.__main__ import app
from train.config import TrainConfig
from train.design import read_design
from train.ladder import MODELS, fit_cell, locate, open_ladder, run_ladder
from train.ladder_store import Cell, load_cell, store_cell
from train.ladder_table import show_ladder
from train.metrics import auroc
from train.rivals.networks import Task, fold_fit, missing
from train.rivals.registry import RIVALS

PROJECT = Path(__file__).resolve().parents[2]
QUIET = Console(quiet=True)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.rivals.trees.MAX_TREES", 40)


@pytest.fixture
def small(tmp_path: Path) -> ConfigMaker:
    """Makes configurations for 300 people and 20 genes, four of them with effects."""
    root = str(tmp_path / "dataset")
    write_example(root, n_samples=300, n_genes=20, causal=(2, 5, 9, 14), effect=2.5, density=0.2, seed=3)
    return config_maker(root, tmp_path)


def stored(run: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(run.rglob("*.parquet"))}


@pytest.mark.slow
def test_run_ladder__every_rival_on_everybody_but_the_sealed(make_config: ConfigMaker) -> None:
    config = make_config(evaluation={"bootstrap_draws": 100})
    content = run_ladder(config, list(RIVALS), [1], QUIET)
    manifest = read_manifest(config.data.dataset)
    assert content["folds"] == [fold for fold in range(10) if fold != manifest.test_fold]
    assert content["n_people"] == manifest.n_samples - manifest.fold(manifest.test_fold).n_samples
    rows = {row["model"]: row for row in content["rows"]}
    assert rows["polygenic_score"]["note"] == "no covariate named polygenic_score or prs"
    assert rows["polygenic_score"]["auroc"] is None
    for name in ("ridge", "lasso", "elastic_net", "boosted_trees", "burden_weights", "spike_slab"):
        assert rows[name]["auroc"]["low"] > 0.65, name
    for name in ("covariates", "batch"):
        assert rows[name]["auroc"]["estimate"] < 0.56, name
    assert json.loads((Path(config.run.out) / "ladder.json").read_text())["rows"] == content["rows"]
    assert content["differences"] == []


def test_run_ladder__sealed_fold_is_never_opened(small: ConfigMaker) -> None:
    config = small(stopping={"max_epochs": 1})
    manifest = read_manifest(config.data.dataset)
    for file in manifest.fold(manifest.test_fold).files:
        (Path(config.data.dataset) / file.path).unlink()
    content = run_ladder(config, ["ridge", "network"], [1], QUIET)
    assert [row["model"] for row in content["rows"]] == ["ridge", "network"]


def test_run_ladder__goes_on_where_it_was_killed(small: ConfigMaker) -> None:
    config = small()
    whole = run_ladder(config, ["ridge", "covariates"], [1], QUIET)
    run = Path(config.run.out)
    before = stored(run)
    assert len(before) == 18
    for fold in (0, 4):
        (run / "ladder" / "ridge" / f"seed-1-fold-{fold}.parquet").unlink()
    (run / "ladder" / "ridge" / "seed-1-fold-7.parquet").write_text("half a file")
    (run / "ladder.json").unlink()
    again = run_ladder(config, ["ridge", "covariates"], [1], QUIET)
    after = stored(run)
    assert sum(before[path] != after[path] for path in before) == 3
    assert [row["auroc"] for row in again["rows"]] == [row["auroc"] for row in whole["rows"]]


def test_run_ladder__other_data_or_code_is_computed_anew(
    small: ConfigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small()
    run_ladder(config, ["ridge"], [1], QUIET)
    before = stored(Path(config.run.out))
    run_ladder(small(optimizer={"learning_rate": 0.5}), ["ridge"], [1], QUIET)
    assert stored(Path(config.run.out)) == before  # of no concern to a rival
    run_ladder(small(data={"covariates": False}), ["ridge"], [1], QUIET)
    changed = stored(Path(config.run.out))
    assert all(before[path] != changed[path] for path in before)
    monkeypatch.setattr("train.ladder.code_digest", lambda parts: "another version")
    run_ladder(small(data={"covariates": False}), ["ridge"], [1], QUIET)
    assert all(changed[path] != time for path, time in stored(Path(config.run.out)).items())


def test_run_ladder__network_beside_rivals_with_paired_differences_and_seeds(small: ConfigMaker) -> None:
    config = small(stopping={"max_epochs": 1}, evaluation={"bootstrap_draws": 50})
    content = run_ladder(config, ["lasso", "network"], [1, 2], QUIET)
    lasso, network = content["rows"]
    assert len(lasso["auroc_by_seed"]) == 1
    assert len(network["auroc_by_seed"]) == 2
    assert network["auroc"]["estimate"] == pytest.approx(np.mean(network["auroc_by_seed"]))
    difference = content["differences"][0]
    assert (difference["rival"], difference["metric"]) == ("lasso", "auroc")
    wanted = network["auroc"]["estimate"] - lasso["auroc"]["estimate"]
    assert difference["estimate"] == pytest.approx(wanted)
    assert difference["low"] < wanted < difference["high"]
    assert not [path for path in (Path(config.run.out) / "ladder" / "network").iterdir() if path.is_dir()]
    console = Console(width=200, file=io.StringIO())
    console.print(show_ladder(content))
    text = console.file.getvalue()
    assert "270 people" in text
    assert "network (ours): AUROC" in text


@pytest.mark.slow
def test_run_ladder__same_seed_same_table(small: ConfigMaker, tmp_path: Path) -> None:
    config = small(evaluation={"bootstrap_draws": 50})
    names = ["total_count", "elastic_net", "boosted_trees", "spike_slab"]
    first = run_ladder(config, names, [4], QUIET)
    shutil.rmtree(config.run.out)
    second = run_ladder(config, names, [4], QUIET)
    for one, other in zip(first["rows"], second["rows"], strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


@pytest.mark.parametrize("name", ["ridge", "boosted_trees", "spike_slab", "burden_weights"])
def test_fit_cell__labels_of_the_outer_fold_change_nothing(small: ConfigMaker, name: str) -> None:
    ladder = open_ladder(small())
    flipped_M = np.where(
        ladder.design.fold_M == 3, 1 - ladder.design.is_case_M, ladder.design.is_case_M
    ).astype(np.int8)
    other = replace(ladder, design=replace(ladder.design, is_case_M=flipped_M))
    place = locate(ladder, name, 1, 3)
    one, two = fit_cell(ladder, place), fit_cell(other, place)
    np.testing.assert_array_equal(one.logit_N, two.logit_N)
    assert one.tuned == two.tuned


def test_fold_fit__network_does_not_see_its_fold(small: ConfigMaker, tmp_path: Path) -> None:
    config = small(data={"validation_folds": [2, 5]})
    manifest = read_manifest(config.data.dataset)
    network = fold_fit(config, manifest, Task("network", 5, 9, tmp_path / "work"))
    assert network.config.data.held_out_folds == (5,)
    assert network.config.data.validation_folds is None
    assert network.config.seed == 9
    assert network.config.run.out == str(tmp_path / "work")
    config = small(data={"validation_folds": [2]})
    kept = fold_fit(config, manifest, Task("paper", 5, 9, tmp_path / "work")).config
    assert kept.data.streams == 4  # 7 row groups, batches of 32
    written = load_config(TrainConfig, PROJECT / "conf" / "train" / "paper.yaml")
    assert kept.model == written.model
    assert kept.optimizer == written.optimizer
    assert kept.stopping == written.stopping
    unlike = {"dataset", "reader", "streams", "validation_folds", "held_out_folds"}
    assert kept.data.model_dump(exclude=unlike) == written.data.model_dump(exclude=unlike)
    assert kept.data.validation_folds == (2,)
    assert kept.model.kind == "paper"


def test_missing__variants_that_make_no_sense_are_left_out_with_the_reason(small: ConfigMaker) -> None:
    config = small(model={"kind": "paper"})
    design = draw_design(50, np.zeros((5, 3)))
    found = missing(config, "network_no_convolution", design)
    assert found == "the network of kind paper has no setting model.convolution"
    assert missing(config, "network", design) is None
    assert missing(small(), "network_no_convolution", design) is None
    assert missing(small(), "network_shuffled_properties", design) == "genes have no properties to shuffle"
    with_loeuf = replace(design, genes=design.genes.assign(loeuf=0.5))
    assert missing(small(), "network_shuffled_properties", with_loeuf) is None


@pytest.mark.parametrize("name", RIVALS)
def test_rivals__beat_chance_where_everything_carries_signal(name: str) -> None:
    def draw(seed: int):
        design = draw_design(500, causal_effects(20, 20, 0.7), seed=seed, covariate=1.0, batch=1.5)
        return replace(design, covariates=("polygenic_score", "age"))

    training, fresh = draw(1), draw(2)
    assert auroc(fresh.is_case_M, RIVALS[name].fit(training, 1).logit(fresh)) > 0.55


def test_run_ladder__unknown_model_and_bad_seeds_in_one_error(small: ConfigMaker) -> None:
    with pytest.raises(InputError) as caught:
        run_ladder(small(), ["ridge", "oracle"], [1, 1], QUIET)
    first, second = caught.value.faults
    assert first.startswith("command line: --models: found oracle, wanted some of covariates, batch,")
    assert second == "command line: --seeds: found [1, 1], wanted different whole numbers from 0"
    assert "network" in MODELS


def test_open_ladder__refuses_a_fold_of_one_class(
    small: ConfigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_design(
        monkeypatch, lambda design: {"is_case_M": np.where(design.fold_M == 4, 0, design.is_case_M)}
    )
    with pytest.raises(InputError, match=r"found 0 cases and 30 controls in fold 4, wanted both"):
        open_ladder(small())


def test_open_ladder__refuses_a_constant_covariate(
    small: ConfigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_design(monkeypatch, lambda design: {"covariates_MP": np.ones_like(design.covariates_MP)})
    wanted = r"covariates: found is_female constant, wanted covariates that vary, or data.covariates=false"
    with pytest.raises(InputError, match=wanted):
        open_ladder(small())


def change_design(monkeypatch: pytest.MonkeyPatch, change: Callable[..., dict[str, np.ndarray]]) -> None:
    def changed(*arguments, **settings):
        design = read_design(*arguments, **settings)
        return replace(design, **change(design))

    monkeypatch.setattr("train.ladder.read_design", changed)


@pytest.mark.parametrize(
    ("option", "text", "wanted"),
    [
        ("--models", "ridge,oracle", "--models: found oracle, wanted some of covariates"),
        ("--seeds", "1,two", "--seeds: found '1,two', wanted whole numbers with commas between"),
    ],
)
def test_ladder_command__one_clear_error(
    small: ConfigMaker, tmp_path: Path, option: str, text: str, wanted: str
) -> None:
    (tmp_path / "conf.yaml").write_text(dump_config(small()))
    done = CliRunner().invoke(app, ["ladder", str(tmp_path / "conf.yaml"), option, text])
    assert done.exit_code == 2
    assert wanted in done.output
    assert not Path(small().run.out).exists()


def test_ladder_command__prints_the_table(small: ConfigMaker, tmp_path: Path) -> None:
    (tmp_path / "conf.yaml").write_text(dump_config(small()))
    done = CliRunner().invoke(app, ["ladder", str(tmp_path / "conf.yaml"), "--models", "batch, total_count"])
    assert done.exit_code == 0
    assert "total_count: 9 fits, 0 stored before" in done.output
    assert "batch alone" in done.output


def test_store_cell__read_back_only_under_the_same_identity(small: ConfigMaker) -> None:
    place = locate(open_ladder(small()), "ridge", 1, 0)
    cell = Cell(np.array([3, 5], np.int32), np.array([0.5, -1.0]), 2.5, "ridge")
    store_cell(place, cell)
    found = load_cell(place)
    assert found is not None
    assert (found.sample_N.tolist(), found.logit_N.tolist()) == ([3, 5], [0.5, -1.0])
    assert (found.seconds, found.tuned) == (2.5, "ridge")
    assert load_cell(replace(place, identity="another")) is None


def test_fit__starts_in_a_folder_that_holds_a_ladder(small: ConfigMaker) -> None:
    config = small(stopping={"max_epochs": 1})
    run_ladder(config, ["covariates"], [1], QUIET)
    assert (fit_quietly(config) / "bundle").is_dir()


def test_run_ladder__stored_people_are_those_of_the_fold(small: ConfigMaker) -> None:
    config = small()
    run_ladder(config, ["covariates"], [1], QUIET)
    manifest = read_manifest(config.data.dataset)
    people = read_samples(config.data.dataset, manifest, [6], ["sample_index"])["sample_index"]
    found = load_cell(locate(open_ladder(config), "covariates", 1, 6))
    assert found is not None
    assert found.sample_N.tolist() == sorted(people)
