"""The optimizer step as one CUDA graph: captured once, then launched whole, where single launches bound the device."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from leafdist.config.schema import TrainConfig
from leafdist.data.loader import Batch
from leafdist.distributed.runtime import Runtime

WARM_UP = 12  # steps before the capture: DistributedDataParallel's timers wait in the first ten, cuDNN times kernels


def choose_graph(train: TrainConfig, device: torch.device, say: Callable[[str], None]) -> Literal["always", "never"]:
    """Settle `train.graph`. Raises ValueError where it must be one and cannot."""
    reasons = {
        "GPUs alone have them": device.type != "cuda",
        "train.deterministic=true": train.deterministic,
        "train.sync_batchnorm=true": train.sync_batchnorm,
        "train.compile=true": train.compile,
    }
    why_not = next((reason for reason, applies in reasons.items() if applies), None)
    if train.graph == "always" and why_not:
        raise ValueError(f"train.graph=always: no CUDA graph here ({why_not}). Set train.graph=never")
    if train.graph == "auto" and why_not and device.type == "cuda":
        say(f"steps run without a CUDA graph: {why_not}")
    return "never" if why_not or train.graph == "never" else "always"


class StepGraph:
    """Runs `update` on batches; that of a full share, of a global batch of `size` rows, is captured and replayed.

    The first steps, an epoch's short last batch and stand-in rows run as they are, with the same weights and kernels.
    """

    def __init__(
        self, update: Callable[[Batch], Tensor], optimizer: torch.optim.Optimizer, size: int, runtime: Runtime
    ) -> None:
        self.update, self.optimizer, self.size, self.runtime = update, optimizer, size, runtime
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], device=runtime.device)
        self.until_capture = WARM_UP
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: Batch | None = None  # what the graph reads
        self.outcome = torch.empty(0)  # what it writes
        self.held = 0  # bytes that it keeps

    def __call__(self, batch: Batch) -> Tensor:
        """Update the weights by one batch; returns what `update` does."""
        if batch.share.total < self.size or batch.share.stand_in:
            self.release_if_tight()
            return self.update(batch)
        if self.inputs is not None and batch.images.shape != self.inputs.images.shape:  # mixing ends with an epoch
            self.release()
            self.until_capture = 1
        if self.graph is None:
            if self.until_capture != 0:
                self.until_capture -= 1
                return self.update(batch)
            self._capture(batch)
        if self.graph is None or self.inputs is None:
            return self.update(batch)
        for held, given in zip(self.inputs.tensors, batch.tensors, strict=True):
            held.copy_(given)
        self.graph.replay()
        return self.outcome.clone()  # the next replay writes over it

    def release(self) -> None:
        """Give back the graph and its memory; also before the process group ends, whose collectives it holds."""
        self.graph, self.inputs, self.outcome = None, None, torch.empty(0)

    def release_if_tight(self) -> None:
        """Give the graph back where what runs beside it may find no memory; the next full share is captured anew.

        On all ranks or on none, as NCCL wants it of captured collectives; all call it together.
        """
        if self.graph is None:
            return
        free, _ = torch.cuda.mem_get_info(self.runtime.device)
        cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated() - self.held
        (tight,) = self.runtime.highest(free + cached < self.held)
        if tight:
            self.release()
            self.until_capture = 1  # the next full share may be mixed no more: it runs as it is once
            torch.cuda.empty_cache()

    def _capture(self, batch: Batch) -> None:
        """Record what `update` asks of the device, which does nothing meanwhile; without success go on as before."""
        graph, inputs = torch.cuda.CUDAGraph(), Batch(batch.share, *(tensor.clone() for tensor in batch.tensors))
        self._allow(capture=True)
        try:
            # thread_local: the loader's thread pins memory, and NCCL's looks at events, meanwhile
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
                before = torch.cuda.memory_reserved()
                outcome = self.update(inputs)
        except (RuntimeError, OSError) as error:
            if self.runtime.world > 1:  # DistributedDataParallel is in the middle of its reduction
                raise ValueError(f"the step cannot be a CUDA graph: {error}. Set train.graph=never") from error
            self.runtime.say(f"warning: steps run without a CUDA graph: {error}")
            self.optimizer.zero_grad(set_to_none=True)
            if self.runtime.scaler.is_enabled():
                self.runtime.scaler._per_optimizer_states.clear()  # it would refuse to unscale a second time
            self.until_capture = -1
        else:
            if not self.held:
                self.runtime.say("the step is captured as a CUDA graph")
            self.graph, self.inputs, self.outcome = graph, inputs, outcome
            self.held = torch.cuda.memory_reserved() - before
        finally:
            self._allow(capture=False)

    def _allow(self, *, capture: bool) -> None:
        """Tell the optimizer that it is captured; it warns when it is not, and was told so."""
        for group in self.optimizer.param_groups:
            group["capturable"] = capture
