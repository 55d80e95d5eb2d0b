"""Steps whose gradient is not finite: noticed without a wait for the device, and explained."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from leafdist.system import files


class NotFiniteError(FloatingPointError):
    """The gradient of `step` (from 0) is not finite; that step was refused."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"the gradient is not finite at step {step + 1}")


class FiniteWatch:
    """Learns one step late, from an asynchronous copy, whether a step was finite, so that the host never waits.

    `patience`: bad steps in a row that end the run; above 1 where gradient scaling tries a lower scale after each.
    """

    def __init__(self, patience: int = 1) -> None:
        self.patience, self.bad_steps = patience, 0
        self.pending: deque[tuple[Tensor, torch.cuda.Event | None, int]] = deque()

    def push(self, bad: Tensor, step: int) -> None:
        """Judge the step before, then start to copy the flag of this one to the host."""
        self.judge()
        event = None
        if bad.is_cuda:
            bad = torch.empty_like(bad, device="cpu", pin_memory=True).copy_(bad, non_blocking=True)
            event = torch.cuda.current_stream().record_event()
        self.pending.append((bad, event, step))

    def judge(self) -> None:
        """Raises NotFiniteError after `patience` steps in a row that were not finite."""
        while self.pending:
            flag, event, step = self.pending.popleft()
            if event:
                event.synchronize()
            self.bad_steps = self.bad_steps + 1 if flag.item() else 0
            if self.bad_steps >= self.patience:
                raise NotFiniteError(step)


def explain(step: int, epoch: int, rate: float, names: Sequence[str], path: Path) -> str:
    """Say what is known of step `step` of epoch `epoch` (from 0); all files of its batch, `names`, go to `path`."""
    files.write_json(path, {"step": step + 1, "epoch": epoch + 1, "learning_rate": rate, "files": list(names)})
    return (
        f"the gradient is not finite at step {step + 1}, epoch {epoch + 1}, learning rate {rate:.3g}, files "
        f"{', '.join(names[:3])} … ({len(names)}, all in {path}): that step was refused, the last good checkpoint "
        "is kept. Try a lower optim.lr, train.clip_norm=1, or train.precision=no"
    )
