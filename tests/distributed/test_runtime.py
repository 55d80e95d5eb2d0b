"""What a process settles before it trains, and how it waits for others."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from leafdist.distributed.devices import check_devices, check_own
from leafdist.distributed.runtime import Runtime, usable_cpus
from leafdist.system import locks, signals
from leafdist.system.signals import Interrupted


def test_mixed_precisions_across_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(precision="no")
    runtime.check_alike()
    monkeypatch.setattr(runtime, "gather", lambda mine: [mine, "bf16"])
    with pytest.raises(ValueError, match=r"no on rank 0, bf16 on rank 1.*Set it to no or bf16"):
        runtime.check_alike()


def test_model_wrapped_anew_is_cast_alike() -> None:
    """As at a thaw; Accelerate marks what it has wrapped, on one process the model itself."""
    runtime, model, types = Runtime(precision="bf16"), nn.Sequential(nn.Linear(4, 2)), list[torch.dtype]()
    model[0].register_forward_hook(lambda _, __, answer: types.append(answer.dtype))
    for _ in range(2):
        assert runtime.wrap(model)(torch.ones(1, 4, device=runtime.device)).dtype == torch.float32
        runtime.unwrap(model)
    assert types == [torch.bfloat16] * 2


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_arch_list", list)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    check_devices()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"4 processes on a node with 2 usable GPUs"):
        check_devices()
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match=r"3 processes on a node with 2 usable GPUs"):
        check_devices()


@pytest.mark.parametrize("local_world", ["2", ""])
def test_own_visible_gpu_is_number_zero(local_world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_arch_list", list)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", local_world)
    monkeypatch.setenv("LOCAL_RANK", "1")
    check_devices()
    assert os.environ["LOCAL_RANK"] == "0"
    check_own([("a", "1"), ("a", "2"), ("b", "1"), None, None])
    with pytest.raises(ValueError, match="ranks 1 and 2 share a GPU of a"):
        check_own([("a", "1"), ("a", "2"), ("a", "2")])


def test_given_gpus_are_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was given GPUs and has none does not train on CPUs, unless it was told to."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    Runtime()
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "4")
    with pytest.raises(ValueError, match=r"gave this job GPUs .4 per node.*set LEAFDIST_EXPECT_DEVICE=cpu"):
        Runtime(precision="fp16")
    for name, value in (("LEAFDIST_EXPECT_DEVICE", "cpu"), ("CUDA_VISIBLE_DEVICES", "")):
        with monkeypatch.context() as told:
            told.setenv(name, value)
            Runtime()
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "0")
    monkeypatch.setenv("LEAFDIST_EXPECT_DEVICE", "cuda")
    with pytest.raises(ValueError, match="Ask for a node with GPUs"):
        Runtime()


def keep(path: Path, seconds: float) -> None:
    """In another process: the lock belongs to an open file, so that a process does not lock itself out."""
    with locks.hold(path, 0, print):
        path.with_suffix(".held").touch()
        time.sleep(seconds)


@pytest.mark.parametrize("stopped", [False, True])
def test_lock_waiters_say_so_and_stop(stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    path = tmp_path / "pack.lock"
    holder = multiprocessing.get_context("spawn").Process(target=keep, args=(path, 60 if stopped else 0.5))
    holder.start()
    try:
        while not path.with_suffix(".held").exists():
            time.sleep(0.05)
        if stopped:
            monkeypatch.setattr(signals, "_received", [("SIGTERM", 0.0)])
            with pytest.raises(Interrupted, match="SIGTERM"):
                locks.hold(path, -1, said.append)
        else:
            locks.hold(path, -1, said.append).release()
        assert said == [f"waiting for another process, which holds {path}"]
    finally:
        holder.kill()
        holder.join()


@pytest.mark.parametrize(("tasks", "cpus"), [(2, 2), (8, 8), (1, 16)])
def test_slurms_cpus_are_shared_out(tasks: int, cpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes on each of two nodes of 64 cores that hand out 8 per task: per node, per process, or otherwise."""
    monkeypatch.setattr("leafdist.distributed.runtime.usable_cores", lambda: 64)
    for name, value in {"SLURM_PROCID": "0", "SLURM_NTASKS": str(tasks), "SLURM_CPUS_PER_TASK": "8"}.items():
        monkeypatch.setenv(name, value)
    assert usable_cpus(4, 8) == cpus


def test_lone_process_polls_every_step() -> None:
    assert Runtime().poll_every == 1, "four steps of a slow CPU may take a minute"
