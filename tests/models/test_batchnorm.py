"""BatchNorm over all processes: that of one process with the whole batch."""

import pytest
import torch
from torch import nn

from leafdist.models.batchnorm import RunningStatistics
from tests.helpers.programs import Program


@pytest.mark.slow
@pytest.mark.parametrize(("world", "kernels"), [(2, ()), (3, ()), (3, ("kernels",))])
def test_gradients_and_statistics_span_the_batch(program: Program, world: int, kernels: tuple[str, ...]) -> None:
    """Uneven shares, ranks without a row, in float64 and under autocast; the CUDA kernels as tests.helpers has them."""
    done = program("tests/helpers/synced_network.py", *kernels, processes=world)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_average_their_statistics(world: int, program: Program) -> None:
    """After steps of the training's own, with ranks that have no photo."""
    done = program("tests/helpers/agreeing_ranks.py", processes=world)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("bad", [0.0, 1.0])
def test_refused_step_moves_no_statistics(bad: float) -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(3))
    statistics = RunningStatistics(model)
    before = statistics.snapshot()
    model[0](torch.full((2, 2, 3, 3), float("inf")))
    model[1](torch.rand(2, 3, 3, 3))
    statistics.restore(before, torch.tensor(bad))
    assert torch.isfinite(model.state_dict()["0.running_mean"]).all() == bool(bad)
    assert (model.state_dict()["1.running_var"] == 1).all() == bool(bad)
