import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.numpy import load_file, save_file

from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.optional import needs_petastorm
from tests.train.runs import CAUSAL, ConfigMaker, fit_interrupted, fit_quietly, history_of, series_of
from train.bundle import load_bundle
from train.checkpoint import CHECKPOINT_NAME, load_state
from train.direct import EFFECTS_NAME
from train.distributed import Comm
from train.engine import Scores, score
from train.evaluate import METRICS_NAME, evaluate
from train.fit import choose_device, fit
from train.people import read_people
from train.prepare import check_groups, choose_folds, prepare
from train.readings import READS_NAME
from train.run_folder import BUNDLE_NAME, HISTORY_NAME, RUN_NAME


def test_choose_folds__lowest_open_fold_validates(dataset: str):
    training, validation = choose_folds(read_manifest(dataset), None)
    assert (training, validation) == ((1, 2, 3, 4, 5, 6, 7, 8), (0,))


@pytest.mark.parametrize("wanted", [[9], [10], list(range(9)), [], [0, 0]])
def test_choose_folds__test_fold_unknown_fold_or_nothing_left(dataset: str, wanted: list[int]):
    with pytest.raises(
        InputError, match=r"data.validation_folds: found .*test fold 9.*wanted some but not all"
    ):
        choose_folds(read_manifest(dataset), wanted)


def test_choose_folds__held_out_folds_are_in_neither(dataset: str):
    training, validation = choose_folds(read_manifest(dataset), None, [0, 4])
    assert (training, validation) == ((2, 3, 5, 6, 7, 8), (1,))
    with pytest.raises(InputError, match=r"data.held_out_folds: found \[9\] .*wanted some of the folds"):
        choose_folds(read_manifest(dataset), None, [9])


def test_prepare__gene_effects_need_both_classes_without_each_group(dataset: str, make_config: ConfigMaker):
    one = {"validation_folds": list(range(1, 9)), "batch_size": 8}
    with pytest.raises(InputError, match=r"found training fold 0 alone, wanted at least two training folds"):
        prepare(make_config(data=one), 1)
    prepare(make_config(data=one, model={"kind": "paper"}), 1)
    copy = read_people(dataset, read_manifest(dataset), range(9), covariates=False)
    only = replace(copy, is_case_M=np.where(np.isin(copy.fold_M, [0, 3]), copy.is_case_M, 0).astype(np.int8))
    groups = {fold: (fold - 1) % 5 for fold in range(1, 9)}
    with pytest.raises(InputError, match=r"found 0 cases and \d+ controls in the training folds that remain"):
        check_groups(only, range(1, 9), groups)
    check_groups(copy, range(1, 9), groups)


def test_fit__finds_the_planted_genes(evaluated_run: Path):
    bundle = load_bundle(evaluated_run / BUNDLE_NAME)
    effect_G = bundle.model().direct.reader_CG[0]
    assert set(effect_G.abs().topk(3).indices.tolist()) == set(CAUSAL)
    assert (effect_G[list(CAUSAL)] > 0).all()
    assert set(bundle.genes["inclusion"].nlargest(3).index) == set(CAUSAL)
    assert (bundle.genes.loc[list(CAUSAL), "effect_plof"] > 0).all()


def test_fit__same_seed_same_series(make_config: ConfigMaker, tmp_path: Path):
    runs = [
        fit_quietly(make_config(stopping={"max_epochs": 2}, seed=seed, run={"out": str(tmp_path / name)}))
        for name, seed in (("first", 3), ("second", 3), ("third", 4))
    ]
    first, second, third = map(series_of, runs)
    assert first == second
    assert first != third


def test_fit__test_fold_is_never_opened(dataset: str, make_config: ConfigMaker, tmp_path: Path):
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    shutil.rmtree(copy / "samples" / "fold=9")
    run = fit_quietly(make_config(data={"dataset": str(copy)}, stopping={"max_epochs": 1}))
    assert (run / BUNDLE_NAME).is_dir()


@pytest.mark.parametrize("step", [5, 12, 18])
def test_fit__interrupted_run_goes_on_with_the_same_series(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
):
    # An epoch has 12 steps: the signal comes within the first epoch, at its end, and within the second.
    whole = fit_quietly(make_config(stopping={"max_epochs": 3}, run={"out": str(tmp_path / "whole")}))
    config = make_config(stopping={"max_epochs": 3}, run={"agree_seconds": 0})
    fit_interrupted(config, step - 1, monkeypatch)
    resumed = fit_quietly(config)
    np.testing.assert_allclose(series_of(resumed), series_of(whole), rtol=1e-12)
    bundles = [load_bundle(run / BUNDLE_NAME).weights for run in (whole, resumed)]
    for name, weights in bundles[0].items():
        torch.testing.assert_close(bundles[1][name], weights)


def test_fit__killed_in_a_long_validation_goes_on_from_there(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Validations: before the first step, after the first epoch, and the one that is interrupted.
    whole = fit_quietly(make_config(stopping={"max_epochs": 3}, run={"out": str(tmp_path / "whole")}))
    config, calls = make_config(stopping={"max_epochs": 3}), []

    def interrupted(*arguments: object) -> Scores:
        calls.append(load_state(tmp_path / "run"))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("train.loop.LONG_VALIDATION", 0.0)
        patch.setattr("train.fit.score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit_quietly(config)
    progress = calls[2]["progress"]
    assert (progress["epoch"], progress["step"], progress["total_steps"]) == (1, 12, 24)
    np.testing.assert_allclose(series_of(fit_quietly(config)), series_of(whole), rtol=1e-12)


def test_fit__finished_run_is_left_alone(make_config: ConfigMaker):
    config = make_config(stopping={"max_epochs": 1})
    run = fit_quietly(config)
    before = (run / BUNDLE_NAME / "bundle.json").stat().st_mtime_ns
    fit_quietly(config)
    assert (run / BUNDLE_NAME / "bundle.json").stat().st_mtime_ns == before
    assert len(history_of(run)) == 1


def test_fit__another_configuration_needs_leave_to_overwrite(make_config: ConfigMaker):
    run = fit_quietly(make_config(stopping={"max_epochs": 1}))
    with pytest.raises(
        InputError, match=r"run.json: found a run with another config_digest, wanted an empty"
    ):
        fit_quietly(make_config(stopping={"max_epochs": 1}, seed=2))
    assert json.loads((run / BUNDLE_NAME / "bundle.json").read_text())["config"]["seed"] == 1
    fit_quietly(make_config(stopping={"max_epochs": 1}, seed=2, run={"overwrite": True}))
    assert json.loads((run / BUNDLE_NAME / "bundle.json").read_text())["config"]["seed"] == 2


@pytest.mark.parametrize("name", [EFFECTS_NAME, CHECKPOINT_NAME])
def test_fit__damaged_run_of_the_same_configuration_starts_anew_where_told(
    make_config: ConfigMaker, name: str
):
    settings = {"stopping": {"max_epochs": 1}}
    run = fit_quietly(make_config(**settings))
    before, weights = series_of(run), load_bundle(run / BUNDLE_NAME).weights
    (run / name).write_bytes(b"damaged")
    (run / READS_NAME).write_text("[]")
    (run / HISTORY_NAME).unlink()
    with pytest.raises(InputError, match=f"{name}: .*found (a )?damaged"):
        fit_quietly(make_config(**settings))
    assert (run / name).read_bytes() == b"damaged"
    fit_quietly(make_config(**settings, run={"overwrite": True}))
    assert series_of(run) == before
    assert (run / READS_NAME).read_text() == "[]"
    for key, weight in load_bundle(run / BUNDLE_NAME).weights.items():
        torch.testing.assert_close(weight, weights[key])


def test_fit__effects_of_an_older_version_start_anew_where_told(make_config: ConfigMaker):
    settings = {"stopping": {"max_epochs": 1}}
    run = fit_quietly(make_config(**settings))
    arrays = load_file(run / EFFECTS_NAME)
    del arrays["centred"]
    save_file(arrays, run / EFFECTS_NAME)
    with pytest.raises(InputError, match=f"{EFFECTS_NAME}: found damaged"):
        fit_quietly(make_config(**settings))
    fit_quietly(make_config(**settings, run={"overwrite": True}))
    assert "centred" in load_file(run / EFFECTS_NAME)


def test_fit__sound_run_of_the_same_configuration_goes_on_where_it_may_be_replaced(make_config: ConfigMaker):
    settings = {"stopping": {"max_epochs": 1}, "run": {"overwrite": True}}
    run = fit_quietly(make_config(**settings))
    before = (run / BUNDLE_NAME / "bundle.json").stat().st_mtime_ns
    fit_quietly(make_config(**settings))
    assert (run / BUNDLE_NAME / "bundle.json").stat().st_mtime_ns == before


def test_fit__overwriting_keeps_the_record_of_readings(make_config: ConfigMaker):
    run = fit_quietly(make_config(stopping={"max_epochs": 1}))
    evaluate(run, again=True)
    # Where nothing can be written beside the dataset, the run's folder holds the record.
    (run / READS_NAME).write_text("[]")
    fit_quietly(make_config(stopping={"max_epochs": 1}, seed=2, run={"overwrite": True}))
    assert (run / READS_NAME).read_text() == "[]"
    assert not (run / METRICS_NAME).exists()
    with pytest.raises(InputError, match="the test fold was read before"):
        evaluate(run)


@needs_petastorm
def test_fit__where_and_how_rows_are_read_may_change(make_config: ConfigMaker, dataset: str, tmp_path: Path):
    run = fit_quietly(make_config(stopping={"max_epochs": 1}))
    moved = shutil.copytree(dataset, tmp_path / "moved")
    data = {"dataset": str(moved), "reader": "petastorm", "cache": "none", "cache_mb": 1, "prefetch": 2}
    fit_quietly(make_config(stopping={"max_epochs": 1}, data=data))
    assert len(history_of(run)) == 1
    with pytest.raises(InputError, match="another config_digest"):
        fit_quietly(make_config(stopping={"max_epochs": 1}, data={**data, "batch_size": 32}))


def test_fit__ranks_that_change_the_batch(make_config: ConfigMaker):
    # Eight streams: nine ranks need two people of each.
    config = make_config(stopping={"max_epochs": 1}, data={"batch_size": 8})
    fit_quietly(config)
    nine = Comm()
    nine.size = 9
    with pytest.raises(
        InputError, match=r"run.json: found a run with 8 people a step, on 1 ranks, wanted 16 as on 9 ranks"
    ):
        fit(config, nine, Console(quiet=True))


def test_fit__out_is_a_file(make_config: ConfigMaker, tmp_path: Path):
    (tmp_path / "run").write_text("keep me")
    with pytest.raises(InputError, match=r"run: run.out: found a file, wanted a folder"):
        fit_quietly(make_config())


@pytest.mark.parametrize("content", ["{", "[]"])
def test_fit__damaged_record_of_the_run(make_config: ConfigMaker, tmp_path: Path, content: str):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run.json: whole file: found no readable JSON object"):
        fit_quietly(make_config())


def test_fit__folder_with_other_content(make_config: ConfigMaker, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("keep me")
    with pytest.raises(InputError, match=r"run.out: found a folder with other content"):
        fit_quietly(make_config(run={"overwrite": True}))
    assert (tmp_path / "run" / "thesis.txt").exists()


@needs_petastorm
def test_fit__run_records_where_it_comes_from(evaluated_run: Path):
    run = json.loads((evaluated_run / RUN_NAME).read_text())
    identity = {"config_digest", "manifest_digest", "batch_size"}
    assert set(run) == identity | {"seed", "ranks", "backend", "versions"}
    assert run["versions"]["petastorm"] == "0.12.1"


def test_fit__paper_network_trains(make_config: ConfigMaker):
    config = make_config(
        model={"kind": "paper", "dense": 8}, optimizer={"learning_rate": 1e-3}, stopping={"max_epochs": 2}
    )
    assert len(history_of(fit_quietly(config))) == 2


def test_prepare__dataset_without_manifest(make_config: ConfigMaker, tmp_path: Path):
    with pytest.raises(InputError, match=r"manifest.json: found no such file, wanted a finished dataset"):
        prepare(make_config(data={"dataset": str(tmp_path)}), 1)


@pytest.mark.parametrize(
    "model", [{}, {"window": 1, "kernel_size": 1}, {"kind": "paper", "batch_norm": False}]
)
def test_prepare__one_person_suffices_along_the_genome(make_config: ConfigMaker, model: dict[str, object]):
    prepared = prepare(make_config(data={"batch_size": 1, "streams": 1}, model=model), 1)
    assert prepared.schedule.batch_size == 1


@pytest.mark.parametrize("model", [{"kind": "paper"}, {"window": 1, "kernel_size": 1, "attended_genes": 1}])
def test_prepare__one_person_has_no_variance(make_config: ConfigMaker, model: dict[str, object]):
    data = {"batch_size": 1, "streams": 1}
    with pytest.raises(InputError, match=r"data.batch_size: found 1, wanted at least 2 people to normalise"):
        prepare(make_config(data=data, model=model), 1)
    # One person for each of two ranks: they are normalised together.
    assert prepare(make_config(data=data, model=model), 2).schedule.batch_size == 2


@pytest.mark.parametrize("model", [{}, {"kind": "paper", "dense": 8, "batch_norm": False}])
def test_fit__one_person_per_step(make_config: ConfigMaker, model: dict[str, object]):
    data = {"batch_size": 1, "streams": 1, "validation_folds": [0, 1, 2, 3, 4, 5, 6]}
    assert history_of(fit_quietly(make_config(data=data, model=model, stopping={"max_epochs": 1})))


def test_prepare__more_ranks_than_row_groups(make_config: ConfigMaker):
    assert prepare(make_config(), 17).schedule == prepare(make_config(), 1).schedule


def test_prepare__permuted_labels_keep_the_counts(make_config: ConfigMaker):
    plain, permuted = (
        prepare(make_config(data={"permute_labels": permute}), 1).people for permute in (False, True)
    )
    assert plain.is_case_M.sum() == permuted.is_case_M.sum()
    assert not np.array_equal(plain.is_case_M, permuted.is_case_M)


@pytest.mark.parametrize(("averages", "wanted"), [(False, "cpu"), (True, "cuda")])
def test_choose_device__a_gpu_only_where_ranks_can_average_on_it(
    make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch, averages: bool, wanted: str
):
    pretend_gpu(monkeypatch, averages)
    assert choose_device(make_config(run={"device": "auto"}), Comm()).type == wanted


def test_choose_device__gpu_asked_for_and_horovod_built_for_cpus(
    make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch
):
    pretend_gpu(monkeypatch, averages=False)
    with pytest.raises(
        InputError, match=r"run\.device: found a Horovod built for CPUs, wanted cpu, auto, or"
    ):
        choose_device(make_config(run={"device": "cuda"}), Comm())


def test_choose_device__more_ranks_than_gpus(make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch):
    pretend_gpu(monkeypatch, averages=True)
    monkeypatch.setattr(Comm, "gather", lambda self, values: np.concatenate([values, values]))
    with pytest.raises(InputError, match=r"found 2 ranks on 1 usable GPU\(s\), wanted cpu, auto"):
        choose_device(make_config(run={"device": "cuda"}), Comm())
    assert choose_device(make_config(run={"device": "auto"}), Comm()).type == "cpu"


def test_choose_device__another_host_has_no_gpu(make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch):
    pretend_gpu(monkeypatch, averages=True)
    monkeypatch.setattr(Comm, "gather", lambda self, values: np.append(values, 0))
    with pytest.raises(InputError, match=r"found no usable GPU for 1 of 2 ranks, wanted cpu, auto"):
        choose_device(make_config(run={"device": "cuda"}), Comm())
    assert choose_device(make_config(run={"device": "auto"}), Comm()).type == "cpu"


def test_choose_device__each_rank_sees_a_gpu_of_its_own_alone(
    make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch
):
    pretend_gpu(monkeypatch, averages=True)
    monkeypatch.setattr(Comm, "local_rank", 1)
    monkeypatch.setattr(Comm, "gather", lambda self, values: np.append(values, 7))
    assert choose_device(make_config(run={"device": "cuda"}), Comm()) == torch.device("cuda", 0)


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, averages: bool) -> None:
    """One GPU, as far as torch can be asked."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda place: SimpleNamespace(uuid="GPU-5"))
    monkeypatch.setattr(Comm, "averages_on_gpu", averages)


def test_fit__what_a_ladder_and_a_search_left_before_stays(make_config: ConfigMaker, tmp_path: Path):
    for name in ("ladder", "tune"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "kept").touch()
    for seed in (1, 2):
        config = make_config(stopping={"max_epochs": 1}, seed=seed, run={"overwrite": seed == 2})
        run = fit_quietly(config)
        assert (run / "ladder/kept").exists()
        assert (run / "tune/kept").exists()
