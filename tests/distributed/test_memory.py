"""Out of memory: what did not fit, and the way out."""

import pytest
import torch

from leafdist.distributed.memory import memory_for, memory_for_rows


def test_memory_errors_name_the_way_out() -> None:
    rows = memory_for_rows(96, resident=False)
    with pytest.raises(OSError, match=r"out of memory with 96 photos at once\. Set train\.max_rows=48"), rows:
        torch.empty(2**50)
    resident = pytest.raises(OSError, match=r"memory for it\. Set data\.placement=host: .* Close")
    with resident, memory_for("for it", resident=True):
        raise torch.OutOfMemoryError
    with pytest.raises(RuntimeError, match="shape"), memory_for_rows(96, resident=True):
        torch.ones(2, 3) @ torch.ones(2, 3)
