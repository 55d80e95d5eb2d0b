"""Processes, devices and precision: the one place that knows of Accelerate and of other ranks."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor, nn
from torch.distributed.distributed_c10d import _get_default_store
from torch.nn.parallel import DistributedDataParallel

from leafdist.distributed.watchdog import Abandon, Sentinel
from leafdist.models.batchnorm import synchronize
from leafdist.system.errors import SaveError
from leafdist.system.processes import usable_cores
from leafdist.system.signals import Interrupted

T = TypeVar("T")
AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}
PATIENCE = timedelta(days=30)  # of processes that wait while another one packs or scans


class Runtime:
    """This process among the others. With one process every method works and communicates nothing."""

    def __init__(self, *, precision: str = "no", timeout_minutes: float = 10, deterministic: bool = False) -> None:
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(mode=True)
        self.precision: Literal["no", "bf16", "fp16"] = resolve_precision(precision)
        check_devices()
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),  # under --multi_gpu without a GPU it would make N worlds of one
            mixed_precision=self.precision,
            kwargs_handlers=[
                InitProcessGroupKwargs(timeout=timedelta(minutes=timeout_minutes)),
                DistributedDataParallelKwargs(gradient_as_bucket_view=True),
            ],
        )
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        self.device: torch.device = self.accelerator.device
        self.is_main = self.rank == 0
        self.is_local_main: bool = self.accelerator.is_local_main_process
        self.local_world = int(os.environ.get("LOCAL_WORLD_SIZE") or self.world)
        check_world_size(self.world)
        # gloo: a CPU group costs the device nothing; the second waits for as long as one process packs
        several, limit = self.world > 1, timedelta(minutes=timeout_minutes)
        self.control: Any = dist.new_group(backend="gloo", timeout=limit) if several else None
        self.patient: Any = dist.new_group(backend="gloo", timeout=PATIENCE) if several else None
        self.check_alike()
        self.sentinel = Sentinel(_get_default_store() if several else None, self.rank, self.world, 60 * timeout_minutes)
        if self.device.type == "cuda" and not deterministic:
            torch.set_float32_matmul_precision("high")  # TF32, as PyTorch has it for convolutions by default
        self.cpus = usable_cpus(self.local_world, self.world)
        if self.device.type == "cpu":
            torch.set_num_threads(self.cpus)

    def check_alike(self) -> None:
        """Raises ValueError where `auto` came out otherwise on another node: the processes would train apart."""
        if len(set(found := self.gather(self.precision))) > 1:
            each = ", ".join(f"{precision} on rank {rank}" for rank, precision in enumerate(found))
            raise ValueError(f"train.precision=auto is not the same on all nodes ({each}). Set it to no or bf16")

    def say(self, text: str) -> None:
        """Print, once for all processes."""
        if self.is_main:
            print(text, flush=True)

    def once(self, work: Callable[[], T], *, patient: bool = True) -> T:
        """Run `work` on rank 0 alone; every rank returns its result.

        The same holds for all three forms: an error of any rank is raised on every rank, Interrupted and SaveError as
        they are, what the user can fix (ValueError, OSError) as ValueError. Unless `patient`, the others wait no longer
        than for a collective.
        """
        shared: T = self._shared(self._outcome(work, active=self.is_main), patient=patient)
        return shared

    def once_per_node(self, work: Callable[[], T]) -> T:
        """Run `work` on one rank of each node; every rank returns rank 0's result."""
        shared: T = self._shared(self._outcome(work, active=self.is_local_main))
        return shared

    def everywhere(self, work: Callable[[], T]) -> T:
        """Run `work` on every rank; each returns its own result once all have succeeded."""
        outcome = self._outcome(work, active=True)
        self._shared((None, outcome[1]))  # what stays on its rank need not be pickled
        result: T = outcome[0]
        return result

    def _outcome(self, work: Callable[[], T], *, active: bool) -> tuple[Any, Exception | None]:
        """What `work` returned, or what it raised that the other ranks must hear of."""
        try:
            return work() if active else None, None
        except (Interrupted, SaveError) as stop:
            return None, stop
        except (ValueError, OSError) as fault:
            return None, ValueError(str(fault))

    def _shared(self, outcome: tuple[Any, Exception | None], *, patient: bool = True) -> Any:
        """Rank 0's result, once no rank has raised anything."""
        result, error = outcome
        outcomes = self.gather((result if self.is_main else None, error), patient=patient)
        for _, found in outcomes:
            if found is not None:
                raise found
        return outcomes[0][0]

    def watching(self, abandon: Abandon) -> AbstractContextManager[None]:
        """See Sentinel; `abandon` is rank 0's."""
        return self.sentinel.watching(abandon if self.is_main else lambda reason, lost: None)

    def gather(self, value: Any, *, patient: bool = False) -> list[Any]:
        """Every process's value, in order of rank."""
        values: list[Any] = [value] * self.world
        if self.control:
            dist.all_gather_object(values, value, group=self.patient if patient else self.control)
        return values

    def wrap(self, model: nn.Module, *, sync_batchnorm: bool = False) -> nn.Module:
        """Onto the device, under autocast, and in DistributedDataParallel where there are several processes."""
        if sync_batchnorm and self.world > 1:
            synchronize(model)
        wrapped: nn.Module = self.accelerator.prepare_model(model)
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.broadcast_buffers = False  # as an argument it is deprecated since torch 2.14, with a warning
        return wrapped

    def autocast(self, precision: str) -> torch.autocast:
        """For a model that was not wrapped: evaluation in the precision of the training."""
        return torch.autocast(self.device.type, AMP.get(precision), enabled=precision in AMP)

    @property
    def scaler(self) -> torch.amp.GradScaler:
        """Of the gradients, under fp16; else one that does nothing."""
        return self.accelerator.scaler or torch.amp.GradScaler(self.device.type, enabled=False)

    @contextmanager
    def no_sync(self, model: nn.Module, *, when: bool) -> Iterator[None]:
        """Keep gradients local, for all micro-batches but the last."""
        if when and isinstance(model, DistributedDataParallel):
            with model.no_sync():
                yield
        else:
            yield

    def sum(self, tensor: Tensor) -> Tensor:
        """Over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def highest(self, *values: int) -> list[int]:
        """The largest of each value over all processes, over the CPU group, which costs the device nothing."""
        answer = torch.tensor(values)
        if self.control:
            dist.all_reduce(answer, dist.ReduceOp.MAX, group=self.control)
        return list(map(int, answer))

    def barrier(self) -> None:
        if self.control:
            dist.barrier(group=self.control)

    def close(self) -> None:
        """Leave together: a rank that is gone early takes the others down with SIGABRT."""
        self.barrier()
        if dist.is_initialized():
            dist.destroy_process_group()


def resolve_precision(precision: str) -> Literal["no", "bf16", "fp16"]:
    """`auto` is bf16 where the device has it in hardware. Raises ValueError for what the device cannot do."""
    cuda = torch.cuda.is_available()
    if precision == "fp16":
        if not cuda:
            raise ValueError("train.precision=fp16: the CPU has no gradient scaling. Use bf16 or no")
        return "fp16"
    if precision == "auto":
        cpu = torch.cpu.get_capabilities()
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else cpu.get("avx512_bf16", False)
        return "bf16" if fast else "no"
    return "bf16" if precision == "bf16" else "no"


def check_devices() -> None:
    """Raises ValueError where a process of this node would have no GPU of its own."""
    here, cards = int(os.environ.get("LOCAL_WORLD_SIZE") or 1), torch.cuda.device_count()
    if torch.cuda.is_available() and here > cards:
        raise ValueError(f"{here} processes on a node with {cards} usable GPU(s): start one a GPU")


def check_world_size(world: int) -> None:
    """Launchers that start another number of processes than asked for do so silently; this does not."""
    for name in ("WORLD_SIZE", "LEAFDIST_EXPECT_WORLD"):
        expected = os.environ.get(name)
        if expected and expected != str(world):
            raise ValueError(
                f"{name}={expected}, but {world} process(es) joined. With accelerate launch pass --multi_gpu above one "
                "process, also on CPUs; under srun export RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT"
            )


def usable_cpus(local_world: int, world: int) -> int:
    """Cores for this process: those of its affinity mask, shared with the other processes of the node."""
    per_task = os.environ.get("SLURM_CPUS_PER_TASK") if "SLURM_PROCID" in os.environ else None
    cpus = usable_cores()
    if per_task and int(os.environ.get("SLURM_NTASKS", "1")) == world:  # a task a process: its share already
        return min(cpus, int(per_task))
    return max(1, cpus // local_world)
