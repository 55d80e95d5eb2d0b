"""An all-reduce in a process of its own on each rank, so that one that hangs or dies is a finding and not the end.

On GPUs once over NCCL and once over gloo, beside which a run agrees on signals and errors.

The process: python -m leafdist.doctor.all_reduce BACKEND ADDRESS PORT RANK WORLD LOCAL_RANK SECONDS ROUNDS
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from leafdist.doctor.diagnosis import Finding, error, ok
from leafdist.doctor.launch import Launch
from leafdist.system.console import counted

CHECK = "all-reduce"
WAY_OUT = {
    "nccl": "Check the network between the nodes: NCCL_SOCKET_IFNAME names its interface; NCCL_DEBUG=INFO says more.",
    "gloo": "Check the network between the nodes: GLOO_SOCKET_IFNAME names its interface, on GPU jobs too.",
}
SMALL, LARGE = 20, 5  # rounds of a sum of one number, and of a large tensor
MEBIBYTES = {"gloo": 16, "nccl": 64}  # of the large tensor


def backends() -> list[str]:
    """List what a run on this node talks over."""
    return ["nccl", "gloo"] if torch.cuda.is_available() else ["gloo"]


def all_reduce(launch: Launch, seconds: float, rounds: int = LARGE) -> Iterator[Finding]:
    """Run this rank's processes over the store at `launch.port`, which is open; end each after twice its patience."""
    for number, backend in enumerate(backends()):
        patience = seconds * (1 + 2 * number)  # other ranks may have waited in vain for the backend before
        deadline = time.monotonic() + 2 * patience
        with started(launch, backend, patience, rounds) as child:
            yield judge(launch, backend, child, deadline)


def among(processes: int, seconds: float, rounds: int = LARGE) -> Iterator[Finding]:
    """Run all ranks of a launch of `processes` on this machine."""
    from leafdist.doctor.meeting import Meeting

    meeting = Meeting(Launch("here"), seconds)
    whole = replace(meeting.launch, world=processes, local_world=processes)
    launches = [replace(whole, rank=rank, local_rank=rank) for rank in range(processes)]
    for backend in backends():
        deadline = time.monotonic() + 2 * seconds
        with ExitStack() as stack:
            children = [stack.enter_context(started(launch, backend, seconds, rounds)) for launch in launches]
            yield from (judge(one, backend, child, deadline) for one, child in zip(launches, children, strict=True))


@contextmanager
def started(launch: Launch, backend: str, seconds: float, rounds: int) -> Iterator[subprocess.Popen[str]]:
    """Start the process of one rank; it is killed at the end, whatever happens."""
    facts = [backend, launch.address, launch.port, launch.rank, launch.world, launch.local_rank, seconds, rounds]
    command = [sys.executable, "-m", "leafdist.doctor.all_reduce", *map(str, facts)]
    pipe, variables = subprocess.PIPE, os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=variables)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def judge(launch: Launch, backend: str, child: subprocess.Popen[str], deadline: float) -> Finding:
    """Wait for the process until `deadline` (of time.monotonic), and say how it ended."""
    try:
        out, err = child.communicate(timeout=max(0.1, deadline - time.monotonic()))
        fate = f"was killed by {signal.Signals(-child.returncode).name}" if child.returncode < 0 else "failed"
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        fate = "hangs, and was ended"
    if child.returncode:
        last = err.strip().rpartition("\n")[2].strip()[:400]
        text = f"{backend}: rank {launch.rank} of {launch.world} {fate}{last and f': {last}'}"
        return error(CHECK, text, f"{WAY_OUT[backend]} Killed: is there enough memory?")
    milliseconds, rate = json.loads(out.splitlines()[-1])
    text = f"{backend} over {counted(launch.world, 'process')}: {{milliseconds:.2f}} ms for a number, "
    figures = {"milliseconds": milliseconds, "rate": rate}
    return ok(CHECK, f"{text}{{rate:,.0f}} MB/s for {MEBIBYTES[backend]} MiB", figures=figures)


def main(arguments: list[str]) -> None:
    """Join the others, sum, check the sum, and print milliseconds of one number, and MB/s."""
    backend, address, port, rank, world, local_rank, seconds, rounds = arguments
    limit, cards = timedelta(seconds=float(seconds)), torch.cuda.device_count() if backend == "nccl" else 0
    if int(local_rank) >= cards > 1:
        raise SystemExit(f"local rank {local_rank} on a node with {counted(cards, 'GPU')}")
    device = torch.device("cuda", int(local_rank) % cards) if cards else torch.device("cpu")
    store = PrefixStore(f"{CHECK} {backend}", TCPStore(address, int(port), is_master=False, timeout=limit))
    own = device if cards else None
    dist.init_process_group(backend, store=store, rank=int(rank), world_size=int(world), timeout=limit, device_id=own)
    total = torch.full((1,), int(rank) + 1.0, device=device)
    dist.all_reduce(total)
    if total.item() != (expected := int(world) * (int(world) + 1) / 2):
        raise SystemExit(f"the sum is {total.item():g}, it should be {expected:g}: the network or a GPU is broken")
    small = _seconds(torch.zeros(1, device=device), SMALL)
    size = MEBIBYTES[backend] << 20
    large = _seconds(torch.zeros(size >> 2, device=device), int(rounds))
    print(json.dumps([small * 1e3, size / large / 1e6]))
    dist.barrier()
    dist.destroy_process_group()


def _seconds(tensor: Tensor, times: int) -> float:
    """Seconds of one all-reduce, after one to warm up."""
    dist.all_reduce(tensor)
    tensor[0].item()  # waits for the device
    began = time.perf_counter()
    for _ in range(times):
        dist.all_reduce(tensor)
    tensor[0].item()
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    main(sys.argv[1:])
