"""Processes, devices and precision: the one place that knows of Accelerate and of other ranks."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, check_cuda_p2p_ib_support
from torch import Tensor, nn
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import register_rendezvous_handler, rendezvous
from torch.nn.parallel import DistributedDataParallel

from leafdist.distributed import devices
from leafdist.distributed.precision import autocast, settle_precision
from leafdist.distributed.watchdog import Abandon, Watchdog
from leafdist.system import console, environment, launched
from leafdist.system.console import counted
from leafdist.system.errors import SaveError
from leafdist.system.processes import keep_freed_memory, usable_cores
from leafdist.system.signals import Interrupted

T = TypeVar("T")
# Steps between looks at signals, at the writer and at the clock; each look is one small reduction over the CPU group,
# which takes longer the more ranks there are: above 32 of them, look every ranks / 8 steps. Alone look every step.
POLL_EVERY = 4
RANKS_PER_STEP = 8
MEETING = "leafdist"  # the name that PyTorch knows our meeting of the ranks by
NCCL_LATER = 2.0  # minutes after ours that NCCL's timeout aborts the processes: until then the watchdog names a rank
PATIENCE = timedelta(days=30)  # of processes that wait while another one packs or scans


class Runtime:
    """This process among the others. With one process every method works and communicates nothing."""

    def __init__(self, *, precision: str = "no", timeout_minutes: float = 10, deterministic: bool = False) -> None:
        environment.settle_launch()
        if deterministic:
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        if deterministic != torch.are_deterministic_algorithms_enabled():
            # imports PyTorch's compiler, which takes seconds
            torch.use_deterministic_algorithms(mode=deterministic)
        AcceleratorState._reset_state(reset_partial_state=True)  # of a training before this one, as in a notebook
        local_rank = os.environ.get("LOCAL_RANK")
        devices.check_devices()
        turn_off_peer_access()
        self.settled = settle_precision(precision)
        self.precision = self.settled.precision
        limit = timeout_minutes + (NCCL_LATER if torch.cuda.is_available() else 0)
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),  # under --multi_gpu without a GPU it would make N worlds of one
            mixed_precision=self.precision,
            kwargs_handlers=[
                InitProcessGroupKwargs(init_method=f"{MEETING}://", timeout=timedelta(minutes=limit)),
                DistributedDataParallelKwargs(gradient_as_bucket_view=True),
            ],
        )
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        self.device: torch.device = self.accelerator.device
        self.is_main = self.rank == 0
        self.is_local_main = local_rank in (None, "0")  # Accelerate's is the number of the GPU
        self.poll_every = max(POLL_EVERY, self.world // RANKS_PER_STEP) if self.world > 1 else 1  # alone: no cost
        self.local_world = int(os.environ.get("LOCAL_WORLD_SIZE") or self.world)
        check_world_size(self.world)
        self.control: Any = None
        self.patient: Any = None
        self._asked: tuple[Tensor, Any] | None = None
        store = None
        if self.world > 1:  # gloo: a CPU group costs the device nothing
            self.control = dist.new_group(backend="gloo", timeout=timedelta(minutes=timeout_minutes))
            self.patient = dist.new_group(backend="gloo", timeout=PATIENCE)  # waits as long as one process packs
            store, _, _ = next(_meet())  # another connection to the group's store
        self.check_alike()
        devices.check_own(self.gather(devices.identity(self.device)))
        self.watchdog = Watchdog(store, self.rank, self.world, 60 * timeout_minutes)
        if self.device.type == "cuda":  # "high": TF32, as PyTorch has it for convolutions by default
            torch.set_float32_matmul_precision("highest" if deterministic else "high")
        self.cpus = usable_cpus(self.local_world, self.world)
        if self.device.type == "cpu":
            torch.set_num_threads(self.cpus)
            keep_freed_memory()

    def check_alike(self) -> None:
        """Raises ValueError where `auto` means another precision on another node."""
        if len(set(found := self.gather(self.precision))) > 1:
            each = ", ".join(f"{precision} on rank {rank}" for rank, precision in enumerate(found))
            half = "fp16" if self.device.type == "cuda" else "bf16"
            raise ValueError(f"train.precision=auto is not the same on all nodes ({each}). Set it to no or {half}")

    def say(self, text: str) -> None:
        """Print once, from rank 0."""
        if self.is_main:
            console.say(text)

    def once(self, work: Callable[[], T], *, patient: bool = True) -> T:
        """Run `work` on rank 0 alone; every rank returns its result.

        As with `once_per_node` and `everywhere`, an error of any rank is raised on every rank: Interrupted and
        SaveError as they are, what the user can fix (ValueError, OSError) as ValueError. Unless `patient`, the others
        wait no longer than for a collective.
        """
        return self._agree(work, active=self.is_main, patient=patient)

    def once_per_node(self, work: Callable[[], T]) -> T:
        """Run `work` on one rank of each node; every rank returns rank 0's result. See `once`."""
        return self._agree(work, active=self.is_local_main)

    def everywhere(self, work: Callable[[], T]) -> T:
        """Run `work` on every rank; each returns its own result once all have succeeded. See `once`."""
        own = list[T]()
        self._agree(lambda: own.append(work()), active=True)  # results stay on their ranks: they need not be pickled
        return own[0]

    def _agree(self, work: Callable[[], T], *, active: bool, patient: bool = True) -> T:
        """Rank 0's result, once no rank has raised anything."""
        result: T | None = None
        error: Exception | None = None
        try:
            result = work() if active else None
        except (Interrupted, SaveError) as stop:
            error = stop
        except (ValueError, OSError) as fault:
            error = ValueError(str(fault))
        outcomes = self.gather((result if self.is_main else None, error), patient=patient)
        for _, found in outcomes:
            if found is not None:
                raise found
        shared: T = outcomes[0][0]
        return shared

    def watching(self, abandon: Abandon) -> AbstractContextManager[None]:
        """Watch this rank while the work inside runs; see Watchdog. `abandon` is called on rank 0 alone."""
        return self.watchdog.watching(abandon if self.is_main else lambda reason, lost: None)

    def gather(self, value: Any, *, patient: bool = False) -> list[Any]:
        """The values of all processes, in order of rank."""
        values: list[Any] = [value] * self.world
        if self.control:
            dist.all_gather_object(values, value, group=self.patient if patient else self.control)
        return values

    def wrap(self, model: nn.Module) -> nn.Module:
        """Move it to the device, under autocast, and into DistributedDataParallel if there are several processes."""
        wrapped: nn.Module = self.accelerator.prepare_model(model)
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.broadcast_buffers = False  # as an argument it is deprecated since torch 2.14, with a warning
        return wrapped

    def unwrap(self, model: nn.Module) -> None:
        """Undo `wrap`, so that `model` can be wrapped again, once nothing refers to what was returned."""
        self.accelerator._models.clear()
        # Accelerate's: of mixed precision, and without the last it would return one process's model as it is, uncast
        for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
            model.__dict__.pop(name, None)

    def autocast(self, precision: str) -> torch.autocast:
        """Run a model that was not wrapped, as in evaluation, in the precision of the training."""
        return autocast(self.device, precision)

    @property
    def scaler(self) -> torch.amp.GradScaler:
        """The scaler of the gradients, which does nothing unless the precision is fp16."""
        return self.accelerator.scaler or torch.amp.GradScaler(self.device.type, enabled=False)

    def no_sync(self, model: nn.Module, *, when: bool) -> AbstractContextManager[None]:
        """Keep gradients local `when` this is not the last micro-batch."""
        return model.no_sync() if when and isinstance(model, DistributedDataParallel) else nullcontext()

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def highest(self, *values: int) -> list[int]:
        """The largest of each value over all processes, over the CPU group, which costs the device nothing."""
        answer = torch.tensor(values)
        if self.control:
            dist.all_reduce(answer, dist.ReduceOp.MAX, group=self.control)
        return list(map(int, answer))

    def highest_later(self, *values: int) -> list[int]:
        """Do what `highest` does; on GPUs with the values of the call before, 0 at first: none waits, all act alike."""
        if self.control is None or self.device.type == "cpu":
            return self.highest(*values)
        before, answer = self._asked, torch.tensor(values)
        self._asked = answer, dist.all_reduce(answer, dist.ReduceOp.MAX, group=self.control, async_op=True)
        if before is None:
            return [0] * len(values)
        before[1].wait()
        return list(map(int, before[0]))

    def close(self) -> None:
        """Leave together: a rank that is gone early takes the others down with SIGABRT."""
        if self.control:
            dist.barrier(group=self.control)
        if dist.is_initialized():
            dist.destroy_process_group()


def _meet(*_: object, **options: Any) -> Iterator[tuple[Any, int, int]]:
    """PyTorch's own rendezvous, with keys of their own for each restart by torchrun.

    torchrun's restarts share one store, in which the processes before them left their addresses (pytorch#135712).
    """
    store, rank, world = next(rendezvous("env://", **options))
    yield PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store), rank, world


register_rendezvous_handler(MEETING, _meet)


def turn_off_peer_access() -> None:
    """Set what `accelerate launch` sets: under another launcher Accelerate refuses RTX 40xx cards with old drivers."""
    missing = [name for name in ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE") if name not in os.environ]
    several = int(os.environ.get("WORLD_SIZE") or 1) > 1
    if missing and several and torch.cuda.is_available() and not check_cuda_p2p_ib_support():
        os.environ |= dict.fromkeys(missing, "1")
        if launched.speaks():
            names, driver = " and ".join(missing), "550.40.07"
            console.say_aside(
                f"{names} set to 1: with drivers older than {driver} RTX 40xx cards cannot reach each other"
            )


def check_world_size(world: int) -> None:
    """Raises ValueError if more or fewer processes joined than were asked for: launchers do not report it."""
    for name in ("WORLD_SIZE", "LEAFDIST_EXPECT_WORLD"):
        expected = os.environ.get(name)
        if expected and expected != str(world):
            raise ValueError(
                f"{name}={expected}, but {counted(world, 'process')} joined. With accelerate launch pass --multi_gpu "
                "above one process, also on CPUs; under srun export RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and "
                "MASTER_PORT"
            )


def usable_cpus(local_world: int, world: int) -> int:
    """Number of cores for this process: those of its affinity mask, shared with the other processes of the node."""
    per_task = os.environ.get("SLURM_CPUS_PER_TASK") if "SLURM_PROCID" in os.environ else None
    cpus, tasks = usable_cores(), int(os.environ.get("SLURM_NTASKS") or 1)
    if per_task and tasks in (world, world // local_world):  # a task per process, or per node
        cpus = min(cpus, int(per_task))
    return max(1, cpus if per_task and tasks == world else cpus // local_world)
