"""Steps of one rank of a world of 1,024 on the null GPU, the others left out: RANK, then train.py's arguments.

Prints the collectives of a whole batch, and of one that leaves the upper half of the ranks without a photo.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

from leafdist.data.plan import EpochPlan
from leafdist.distributed import runtime as module
from leafdist.distributed.runtime import Runtime

WORLD = 1024
rank, arguments = int(sys.argv[1]), sys.argv[2:]
os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(WORLD), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
os.environ |= {"MASTER_ADDR": "x", "MASTER_PORT": "1"}
dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=WORLD)
new_group, wrap = dist.new_group, Runtime.wrap


def meet() -> Iterator[tuple[None, int, int]]:
    yield None, rank, WORLD


def reduce(_: Any, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
    """All-reduce at once: a fake group's own futures hold nothing."""
    dist.all_reduce(bucket.buffer())
    done = torch.futures.Future[Tensor]()
    done.set_result(bucket.buffer())
    return done


def wrapped(self: Runtime, model: nn.Module) -> nn.Module:
    network = wrap(self, model)
    network.register_comm_hook(None, reduce)  # type: ignore[operator]
    return network


class Collectives(TorchDispatchMode):
    """Counts what is asked of the process group."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen = Counter[str]()

    def __torch_dispatch__(
        self, call: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if call.namespace == "c10d":  # type: ignore[attr-defined]
            self.seen[call.name()] += 1  # type: ignore[attr-defined]
        return call(*args, **(kwargs or {}))


setattr(dist, "new_group", lambda backend, **options: new_group(backend="fake", **options))  # noqa: B010
setattr(module, "_meet", meet)  # noqa: B010
setattr(Runtime, "gather", lambda self, value, patient=False: [value])  # noqa: B010
setattr(Runtime, "wrap", wrapped)  # noqa: B010

from benchmarks.launches import batch_of, make_step  # noqa: E402 - it imports Runtime, as it is now

step, runtime, config = make_step(arguments)
size = config.train.batch_size
for number in range(2):
    share = EpochPlan(size + size // 2, size, 0, 0).share(number, rank, WORLD)
    with Collectives() as collectives:
        step(number, batch_of(share, int(config.data.resize), runtime))
    print("stand-in" if share.stand_in else "photos", sorted(collectives.seen.items()))
sys.stdout.flush()
os._exit(0)  # there is nobody to leave together with
