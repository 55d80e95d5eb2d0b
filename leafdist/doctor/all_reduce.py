"""The process behind `all_reduce`: meets the others, adds up, and prints how fast that was.

python -m leafdist.doctor.all_reduce ADDRESS PORT RANK WORLD LOCAL_RANK SECONDS ROUNDS
"""

import json
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

SMALL, LARGE = 20, 5  # how often
MEBIBYTES = {"cpu": 16, "cuda": 64}


def main(arguments: list[str]) -> None:
    """One process of the all-reduce: join, sum, print. Arguments: words of a command line."""
    address, port, rank, world, local_rank, seconds, rounds = arguments
    limit, card = timedelta(seconds=float(seconds)), torch.cuda.is_available()
    if card and int(local_rank) >= torch.cuda.device_count():
        raise SystemExit(f"{torch.cuda.device_count()} GPU(s) on this node, and this is local rank {local_rank}")
    device = torch.device("cuda", int(local_rank)) if card else torch.device("cpu")
    store = PrefixStore("all-reduce", TCPStore(address, int(port), is_master=False, timeout=limit))
    backend = "nccl" if card else "gloo"
    dist.init_process_group(
        backend, store=store, rank=int(rank), world_size=int(world), timeout=limit, device_id=device if card else None
    )
    total = torch.full((1,), int(rank) + 1.0, device=device)
    dist.all_reduce(total)
    if total.item() != (expected := int(world) * (int(world) + 1) / 2):
        raise SystemExit(f"the sum is {total.item():g}, it should be {expected:g}: the network or a GPU is broken")
    size = MEBIBYTES[device.type]
    small = _seconds(torch.zeros(1, device=device), SMALL)
    large = _seconds(torch.zeros(size << 18, device=device), int(rounds) or LARGE)
    values = {"backend": backend, "mebibytes": size, "milliseconds": small * 1e3, "rate": (size << 20) / large / 1e6}
    print(json.dumps(values))
    dist.barrier()
    dist.destroy_process_group()


def _seconds(tensor: Tensor, times: int) -> float:
    """Of one, after one to warm up."""
    dist.all_reduce(tensor)
    _settle(tensor)
    began = time.perf_counter()
    for _ in range(times):
        dist.all_reduce(tensor)
    _settle(tensor)
    return (time.perf_counter() - began) / times


def _settle(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(sys.argv[1:])
