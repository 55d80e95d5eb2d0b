"""Gradient scaling, with PyTorch's scaler for CPUs standing in; the real thing needs a GPU."""

import json

import pytest
import torch

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, ModelConfig, OptimConfig, TrainConfig
from leafdist.data.loader import Batch
from leafdist.data.plan import EpochPlan
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.training.not_finite import NotFiniteError
from leafdist.training.step import MOST_BAD_FP16, TrainStep

SCALE = 2.0**10


def make_step(monkeypatch: pytest.MonkeyPatch, *, scaled: bool) -> TrainStep:
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, enabled=scaled)
    monkeypatch.setattr(Runtime, "scaler", scaler)
    config = Config(
        model=ModelConfig(name="baseline"),
        optim=OptimConfig(name="sgd"),
        train=TrainConfig(precision="no", clip_norm=1.0, batch_size=4, ema=0.5),
    )
    return TrainStep(resolve(config), build_model("baseline", 3, 64, seed=0), Runtime(), steps_per_epoch=10)


def take(step: TrainStep, number: int, factor: float = 1.0) -> None:
    """One optimizer step on fixed photos; `factor` scales the weights of the last layer, inf spoils them."""
    torch.manual_seed(number)
    images = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    last = list(step.model.parameters())[-1]
    before = last.detach().clone()
    with torch.no_grad():
        last.mul_(factor)
    share = EpochPlan(4, 4, seed=0, epoch=number).share(0)
    indices, draws = torch.from_numpy(share.indices), torch.from_numpy(share.draws)
    step(number, Batch(share, images, torch.tensor([0, 1, 2, 0]), indices, draws))
    if factor != 1.0:
        with torch.no_grad():
            last.copy_(before)


def test_power_of_two_scale_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [make_step(monkeypatch, scaled=scaled) for scaled in (False, True)]
    for step in steps:
        for number in range(3):
            take(step, number)
    plain, scaled = (step.model.state_dict() for step in steps)
    assert all(torch.equal(plain[key], scaled[key]) for key in plain)


def test_overflowing_step_halves_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    step = make_step(monkeypatch, scaled=True)
    before = {key: value.clone() for key, value in step.model.state_dict().items()}
    take(step, 0, float("inf"))
    for network in (step.model, step.kept_network()):
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert step.scaler.get_scale() == SCALE / 2
    assert all(not state["momentum_buffer"].any() for state in step.optimizer.state.values())
    take(step, 1)
    weights, average = (next(iter(network.state_dict().values())) for network in (step.model, step.kept_network()))
    share = 1 - 2 / 11  # of step 1
    torch.testing.assert_close(average, torch.lerp(next(iter(before.values())), weights, share))
    step.watch.judge()
    for number in range(2, 2 + MOST_BAD_FP16):
        take(step, number, float("inf"))
    with pytest.raises(NotFiniteError):
        step.watch.judge()


def test_checkpoint_restores_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    step, other = make_step(monkeypatch, scaled=True), make_step(monkeypatch, scaled=True)
    take(step, 0, float("inf"))
    other.scaler.load_state_dict(json.loads(json.dumps(step.scaler_state())))
    assert other.scaler.state_dict() == step.scaler.state_dict()
    assert make_step(monkeypatch, scaled=False).scaler_state() is None
