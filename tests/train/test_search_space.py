from pathlib import Path

import pytest
import yaml

from contract.errors import InputError
from tests.train.runs import ConfigMaker
from train.search_space import read_space

PROJECT = Path(__file__).resolve().parents[2]


def written(folder: Path, content: object) -> Path:
    path = folder / "space.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"optimizer.learning_rat": {"low": 1, "high": 2}},
            "space.yaml: optimizer.learning_rat: found an unknown key, wanted a key of the configuration, "
            "such as optimizer.learning_rate",
        ),
        (
            {"model.weight_decay": {"low": 1, "high": 2}},
            "model.weight_decay: found an unknown key, wanted a key of the configuration, such as "
            "optimizer.weight_decay",
        ),
        ({"run.out": {"choices": ["a"]}}, "run.out: found a key that trials must share, wanted one of data"),
        (
            {"data.validation_folds": {"choices": [[1]]}},
            "data.validation_folds: found a key that trials must",
        ),
        (
            {"model.dropout": 0.5},
            r"model.dropout: found 0.5, wanted {low: …, high: …, log: …} or {choices: \[…",
        ),
        ({"model.dropout": {"low": 0.5, "high": 0.1}}, r"wanted: low below high \(low 0.5, high 0.1\)"),
        ({"model.dropout": {"low": 0, "high": 0.5, "log": True}}, r"wanted: low above 0 where log is true"),
        ({"model.dropout": {"low": 0.1}}, "model.dropout: found a mapping, wanted: low and high, or choices"),
        (
            {"model.dropout": {"low": 0.1, "high": 0.2, "choices": [1]}},
            "wanted: either choices, or low and high",
        ),
        ({"model.dropout": {"lo": 0.1}}, "model.dropout.lo: found an unknown key"),
        (
            {"model.dropout": {"low": 0.1, "high": 1.5}},
            "model.gene_cnn.dropout: found 1.5, wanted: Input should",
        ),
        ({"model.kernel_size": {"choices": [3, 4]}}, "kernel_size: found 4, wanted: an odd number of genes"),
        (
            {"model.filters": {"low": 1.5, "high": 4}},
            r"model.filters: found \['1.5', '4'\], wanted whole numbers",
        ),
        (
            {"model.batch_norm": {"low": 0, "high": 1}},
            r"batch_norm: found a range, wanted choices: \[true, false",
        ),
        (
            {"data.scaling": {"low": 0, "high": 1}},
            "data.scaling: found a range, wanted choices: this key holds",
        ),
        (
            {"folds": 3, "model.dropout": {"low": 0, "high": 1}},
            r"folds: found 3, wanted a list such as \[0, 1, 2",
        ),
        ({}, "space.yaml: search space: found no key, wanted key"),
        ("- a", "search space: found a list, wanted key"),
        ("a: [", "search space: found no readable YAML"),
    ],
)
def test_read_space__faults(make_config: ConfigMaker, tmp_path: Path, space: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_space(written(tmp_path, space), make_config())


def test_read_space__all_faults_at_once(make_config: ConfigMaker, tmp_path: Path) -> None:
    path = written(tmp_path, {"modell.dropout": {"low": 0, "high": 1}, "model.window": {"low": 4, "high": 2}})
    with pytest.raises(InputError) as caught:
        read_space(path, make_config())
    assert len(caught.value.faults) == 2
    assert "such as model.dropout" in str(caught.value)


def test_space__values_reach_the_configuration(make_config: ConfigMaker, tmp_path: Path) -> None:
    entries = {
        "optimizer.learning_rate": {"low": "1e-3", "high": "1e-1", "log": True},  # YAML reads 1e-3 as text
        "model.window": {"low": 8, "high": 32, "step": 8},
        "data.scaling": {"choices": ["channel", "standard"]},
        "folds": [1, 2],
    }
    space = read_space(written(tmp_path, entries), make_config(seed=4))
    assert space.folds == (1, 2)
    assert space.start() == {"optimizer.learning_rate": 0.01, "model.window": 16, "data.scaling": '"channel"'}
    parameters = {"optimizer.learning_rate": 0.02, "model.window": 24, "data.scaling": '"standard"'}
    config = space.config(space.settings(parameters), "test")
    assert (config.optimizer.learning_rate, config.model.window, config.data.scaling) == (
        0.02,
        24,
        "standard",
    )
    assert config.seed == 4


def test_space__configuration_outside_it_is_no_start(make_config: ConfigMaker, tmp_path: Path) -> None:
    for entry in ({"low": 9, "high": 31, "step": 2}, {"choices": [8, 32]}, {"low": 20, "high": 30}):
        assert read_space(written(tmp_path, {"model.window": entry}), make_config()).start() is None


def test_conf__space_is_one(make_config: ConfigMaker) -> None:
    space = read_space(PROJECT / "conf" / "train" / "space.yaml", make_config())
    assert space.start() is not None
