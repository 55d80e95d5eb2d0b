import pytest
import torch
from torch import nn

from leafdist.config.schema import OptimConfig, TrainConfig
from leafdist.training.not_finite import FiniteWatch
from leafdist.training.optim import build_optimizer, gradient_norm, guard_update, learning_rate
from leafdist.training.rates import group_parameters


def test_the_step_schedule_is_steplrs() -> None:
    config = OptimConfig(lr=0.1, schedule="step", step_size=2, gamma=0.5)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    reference = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    for epoch in range(7):
        for batch in range(3):
            rate = learning_rate(config, TrainConfig(epochs=7), epoch * 3 + batch, 3)
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()


def test_warm_up_then_cosine_to_zero() -> None:
    config = OptimConfig(lr=0.1, schedule="cosine", warmup_epochs=2)
    rates = [learning_rate(config, TrainConfig(epochs=10), step, 5) for step in range(51)]
    assert rates[:10] == pytest.approx([0.01 * n for n in range(1, 11)])
    assert rates[10] == 0.1
    assert rates[30] == pytest.approx(0.05)
    assert rates[50] == pytest.approx(0)
    head_first = TrainConfig(epochs=13, head_epochs=3)
    assert [learning_rate(config, head_first, step, 5) for step in range(66)] == [0.1] * 15 + rates


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_optimizer_is_torchs(name: str) -> None:
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    momentum = {"momentum": 0.9} if name == "sgd" else {}
    reference = kind(theirs.parameters(), lr=0.01, weight_decay=0.1, **momentum)
    config = OptimConfig(name=name, lr=0.01, weight_decay=0.1)  # type: ignore[arg-type]
    optimizer = build_optimizer(group_parameters(ours, config, ""), config)
    for _ in range(4):
        x = torch.rand(5, 3)
        for model, stepper in ((ours, optimizer), (theirs, reference)):
            stepper.zero_grad()
            model(x).pow(2).sum().backward()
            stepper.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_norm_spans_all_gradients_and_clips() -> None:
    model = nn.Linear(3, 2)
    model(torch.full((4, 3), 10.0)).sum().backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])
    assert gradient_norm(model.parameters(), 1.0).item() == pytest.approx(gradients.norm().item())
    assert gradient_norm(model.parameters(), None).item() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nonfinite_step_is_reported_later(name: str, bad: float) -> None:
    model, watch = nn.Linear(3, 2), FiniteWatch()
    config = OptimConfig(name=name)  # type: ignore[arg-type]
    optimizer = build_optimizer(group_parameters(model, config, ""), config)
    step(model, optimizer, watch, 1.0)
    before = [value.clone() for value in model.state_dict().values()]
    step(model, optimizer, watch, bad, number=7)
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
    with pytest.raises(FloatingPointError, match="not finite at step 8"):
        step(model, optimizer, watch, 1.0)


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, watch: FiniteWatch, factor: float, number: int = 0
) -> None:
    optimizer.zero_grad()
    (model(torch.ones(4, 3)) * factor).pow(2).sum().backward()
    watch.push(guard_update(optimizer, gradient_norm(model.parameters(), None)), number)
    optimizer.step()
