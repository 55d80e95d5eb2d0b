"""Rank 1 of two with several collectives under way, of which rank 0 joins none."""

import os
import time
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

from leafdist.distributed.watchdog import Watchdog

LIMIT = 2.0  # seconds

dist.init_process_group("gloo", timeout=timedelta(seconds=LIMIT))
rank = dist.get_rank()
dist.barrier()
with Watchdog(_get_default_store(), rank, 2, stall=LIMIT).watching(lambda reason, lost: None):
    if rank == 0:
        time.sleep(LIMIT + 8)
        os._exit(0)
    works = [dist.all_reduce(torch.ones(9), async_op=True) for _ in range(8)]
    try:
        works[-1].wait()
    except RuntimeError as error:
        print(error)
        raise
