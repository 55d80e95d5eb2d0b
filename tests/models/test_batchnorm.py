"""BatchNorm over all processes: that of one process with the whole batch."""

import pytest
import torch
from torch import nn

from leafdist.models.batchnorm import restore, snapshot
from tests.helpers.programs import Program


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_gradients_and_statistics_span_the_batch(program: Program, world: int) -> None:
    """Uneven shares, and ranks without a row, in float64 and under autocast."""
    done = program("tests/helpers/synced_network.py", processes=world)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("bad", [0.0, 1.0])
def test_refused_step_moves_no_statistics(bad: float) -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2).eval())
    before = snapshot(model)
    model[0](torch.full((2, 2, 3, 3), float("inf")))
    restore(model, before, torch.tensor(bad))
    assert torch.isfinite(model.state_dict()["0.running_mean"]).all() == bool(bad)
