"""What a device has no memory for, told with the way out."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from leafdist.system.console import counted

OTHER_WORDS = "can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED"  # of other RuntimeErrors
LARGER = "Close what else holds some of it, or take a smaller network, smaller photos (data.resize) or a larger device"


@contextmanager
def memory_for(work: str, way_out: str = LARGER, *, resident: bool) -> Iterator[None]:
    """Raises OSError, naming the way out, where the device has no room for `work`; `resident`: packs lie in it too."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(word in str(error) for word in OTHER_WORDS):
            raise
        host = "Set data.placement=host: the packs leave the device. If that is not enough: " if resident else ""
        raise OSError(f"out of memory {work}. {host}{way_out}") from error


def memory_for_rows(rows: int, *, resident: bool) -> AbstractContextManager[None]:
    """Do what `memory_for` does, for a micro-batch of `rows` photos."""
    way_out = (
        f"Set train.max_rows={max(1, rows // 2)} or lower: the batch stays the same, in more parts; BatchNorm takes "
        "its statistics from each part"
    )
    return memory_for(f"with {counted(rows, 'photo')} at once", way_out, resident=resident)
