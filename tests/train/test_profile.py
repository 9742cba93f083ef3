import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch.autograd import DeviceType
from typer.testing import CliRunner

from tests.train.runs import ConfigMaker
from train.__main__ import app
from train.distributed import Comm
from train.engine import PARTS
from train.profile import OTHER, READING, Timed, _operators, _parts, profile_steps


def test_profile_steps__parts_add_up_to_the_time_taken(make_config: ConfigMaker, tmp_path: Path):
    config = make_config(data={"batch_size": 32})
    found = profile_steps(config, Comm(), 30, tmp_path / "trace.json")  # more steps than one epoch has
    assert (found.steps, found.people) == (30, 960)
    assert list(found.parts) == [READING, *PARTS, OTHER]
    assert sum(found.parts.values()) == pytest.approx(found.seconds, rel=0.01)
    assert found.parts["backward pass"] > 0.02 * found.seconds
    assert found.parts["forward pass and loss"] > 0.02 * found.seconds
    assert any(name.startswith("aten::") for name in found.operators)
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert not Path(config.run.out).exists()


def test_profile__prints_the_table(dataset: str, tmp_path: Path):
    settings = [f"data.dataset={dataset}", f"run.out={tmp_path / 'run'}", "data.reader=arrow"]
    more = ["--steps", "4", "--figures", str(tmp_path / "figures.json")]
    told = CliRunner().invoke(app, ["profile", "conf/train/default.yaml", *settings, *more])
    assert told.exit_code == 0, told.output
    assert "4 steps" in told.output
    assert "averaging gradients" in told.output
    assert not (tmp_path / "run").exists()
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["people_per_second"] == pytest.approx(4 * 64 / figures["plain_seconds"])
    assert (figures["backend"], figures["ranks"], figures["steps"]) == ("none", 1, 4)


def test_parts__those_that_a_gpu_lists_again_count_once():
    def event(key: str, device: DeviceType, cpu: float, gpu: float) -> SimpleNamespace:
        times = {"cpu_time_total": cpu, "self_cpu_time_total": cpu, "self_device_time_total": gpu}
        return SimpleNamespace(key=key, device_type=device, **times)

    events = [
        event("backward pass", DeviceType.CPU, 3e6, 0),
        event("backward pass", DeviceType.CUDA, 0, 2e6),
        event("aten::mul", DeviceType.CPU, 1e6, 2e6),
        event("void kernel", DeviceType.CUDA, 0, 2e6),
    ]
    profiled = SimpleNamespace(key_averages=lambda: events)
    parts = _parts(profiled, Timed(people=10, seconds=5, waited=1))
    assert (parts["backward pass"], parts[READING], parts[OTHER]) == (3, 1, 1)
    assert _operators(profiled, on_gpu=True) == {"aten::mul": 2}
