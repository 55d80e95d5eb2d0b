"""BatchNorm over all processes: that of one process with the whole batch."""

import pytest

from tests.conftest import Program


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_gradients_and_statistics_are_those_of_the_whole_batch(program: Program, world: int) -> None:
    """Uneven shares, and ranks without a row, in float64 and under autocast."""
    done = program("tests/synced_network.py", processes=world)
    assert done.returncode == 0, done.stderr
