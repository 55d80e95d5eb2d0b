"""The average of the weights: PyTorch's own with the same decays, left alone by steps that were refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from leafdist.training.weight_average import WeightAverage, copy_network, decay_of
from tests.helpers.programs import TINY, Program

DECAY = 0.9


def make() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def follow(model: nn.Sequential, *, bad: float = 0, steps: int = 30) -> WeightAverage:
    """Train for some steps, of which the average follows all."""
    next(iter(model.parameters())).requires_grad = False
    reference = AveragedModel(model, avg_fn=mix, use_buffers=True)
    reference.n_averaged.fill_(1)
    network = copy_network(model)
    moving = [value for value in model.parameters() if value.requires_grad]
    average = WeightAverage(network, model, moving + list(model[1].buffers())[:2], DECAY)
    optimizer = torch.optim.SGD(moving, 0.1)
    for step in range(steps):
        average.seek_step(step)
        model(torch.rand(5, 3, 6, 6)).pow(2).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        average.follow(torch.tensor(float(bad)))
        reference.update_parameters(model)
        if not bad:
            near = dict(reference.module.named_parameters()) | dict(reference.module.named_buffers())
            for name, value in average.updated_network().state_dict().items():
                if value.is_floating_point():
                    torch.testing.assert_close(value, near[name], rtol=1e-6, atol=1e-7)
    return average


def mix(average: Tensor, weights: Tensor, steps: Tensor | int) -> Tensor:
    """PyTorch's average is given how many steps there were, itself included."""
    return average + (1 - decay_of(int(steps) - 1, DECAY)) * (weights - average)


def test_average_is_pytorchs() -> None:
    model = make()
    average = follow(model).updated_network().state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, average[name]) == (name in ("0.weight", "1.num_batches_tracked")), name


def test_refused_steps_leave_the_average() -> None:
    before = make().state_dict()
    after = follow(make(), bad=1, steps=3).updated_network().state_dict()
    assert after.pop("1.num_batches_tracked") == 3
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_decay_grows_to_the_given_one() -> None:
    assert [decay_of(step, DECAY) for step in (0, 8, 80, 10**6)] == pytest.approx([0.1, 0.5, DECAY, DECAY])


@pytest.mark.slow
def test_average_is_validated_and_kept(program: Program, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    done = program("train.py", "--data.root", photos, *TINY, "--train.epochs", 1, "--train.ema", DECAY)
    assert done.returncode == 0, done.stderr
    last = run / "last" / "step-000000003"
    best, average, weights = map(
        load_file, (run / "best/model.safetensors", last / "ema.safetensors", last / "model.safetensors")
    )
    assert all(torch.equal(value, average[name]) for name, value in best.items())
    assert not any(torch.equal(value, weights[name]) for name, value in best.items())
    assert "ema.safetensors" in json.loads((last / "manifest.json").read_text())["sha256"]
    assert program("evaluate.py", run, "--split", "val").returncode == 0
    found, validated = (json.loads((run / name).read_text()) for name in ("eval-val.json", "best/meta.json"))
    assert (found["accuracy"], found["loss"]) == (validated["val_accuracy"], validated["val_loss"])
