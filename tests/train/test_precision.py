import numpy as np
import pytest
import torch

from contract.errors import InputError
from tests.train.runs import ConfigMaker, fit_quietly, series_of
from tests.train.test_engine import trainer_of
from train.errors import TrainingError
from train.precision import low_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("wanted", "on", "has_bfloat16", "found"),
    [
        ("auto", "cpu", True, None),
        ("auto", "cuda", True, torch.bfloat16),
        ("auto", "cuda", False, torch.float16),
        ("float32", "cuda", True, None),
        ("float16", "cpu", True, torch.float16),
    ],
)
def test_low_precision__by_device(
    monkeypatch: pytest.MonkeyPatch, wanted: str, on: str, has_bfloat16: bool, found: torch.dtype | None
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    assert low_precision(wanted, torch.device(on)) == found


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("model", [{}, {"kind": "paper", "dense": 8}])
def test_fit__sixteen_bits_come_close(
    make_config: ConfigMaker, tmp_path, precision: str, model: dict[str, object]
):
    settings = {"model": model, "stopping": {"max_epochs": 3, "patience": 100}}
    full = series_of(fit_quietly(make_config(**settings, run={"out": str(tmp_path / "full")})))
    half = series_of(fit_quietly(make_config(**settings, run={"precision": precision})))
    losses = np.array([full, half])[:, :, :2]
    assert not np.array_equal(losses[0], losses[1])
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=5e-3)


def test_train_step__what_float16_can_not_hold_costs_the_step(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config(run={"precision": "float16"}))
    batch = next(batches)
    batches.close()
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)  # times a gradient: beyond float32 too
    before = {
        name: weight.clone() for name, weight in trainer.model.state_dict().items() if "num" not in name
    }
    trainer.train_step(batch)
    assert trainer.scaler.get_scale() == 2.0**125
    assert all(torch.equal(trainer.model.state_dict()[n], w) for n, w in before.items() if "running" not in n)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    trainer.model.intercept.data.fill_(torch.nan)
    with pytest.raises(TrainingError, match="found gradient norm nan"):
        trainer.train_step(batch)


def test_restore__the_scale_goes_on(make_config: ConfigMaker):
    trainer, batches = trainer_of(make_config(run={"precision": "float16"}))
    trainer.train_step(next(batches))
    batches.close()
    trainer.scaler.update(512.0)
    other, unused = trainer_of(make_config(run={"precision": "float16"}))
    unused.close()
    other.restore(trainer.state())
    assert other.scaler.get_scale() == 512.0


def test_fit__compiled_without_a_compiler(make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"run.compile: found no compiler, wanted a C\+\+ compiler"):
        fit_quietly(make_config(run={"compile": True}))


@pytest.mark.slow  # 20 to 60 s: the compiler's
@pytest.mark.parametrize("model", [{}, {"kind": "paper", "dense": 8}])
def test_fit__compiled_is_the_same_run(make_config: ConfigMaker, tmp_path, model: dict[str, object]):
    settings = {"model": model, "stopping": {"max_epochs": 3, "patience": 100}}
    plain = series_of(fit_quietly(make_config(**settings, run={"out": str(tmp_path / "plain")})))
    joined = series_of(fit_quietly(make_config(**settings, run={"compile": True})))
    np.testing.assert_allclose(joined, plain, rtol=0, atol=1e-5)
