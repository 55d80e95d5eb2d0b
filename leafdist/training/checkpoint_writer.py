"""Writes checkpoints behind the training's back: one thread, in the order of the requests."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from leafdist.config.schema import TrainConfig
from leafdist.data.index import Index
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.tables import write_predictions
from leafdist.runs import checkpoint
from leafdist.runs.checkpoint import Snapshot
from leafdist.runs.facts import CheckpointMeta
from leafdist.runs.layout import RunLayout
from leafdist.system import files
from leafdist.system.errors import SaveError

WAITING = 2  # requests that may hold tensors in memory: the one being written and the next
OLD = 20.0  # seconds since the last checkpoint after which the end of an epoch is worth one


def is_due(config: TrainConfig, step: int, age: float) -> bool:
    """Whether an epoch that ends at `step` gets a checkpoint, the last one being `age` seconds old."""
    asked = config.save_every > 0 and step % config.save_every == 0
    return asked or age > min(OLD, 60 * config.save_minutes)


def write_files(
    layout: RunLayout,
    step: int,
    snapshot: Snapshot,
    meta: CheckpointMeta,
    val: Index,
    *,
    best: Predictions | None,
    validated: bool,
) -> None:
    """Write `last/` of optimizer step `step`, and before it `best/` if `best`, its answers on `val`, are given."""
    if best:
        checkpoint.save_best(layout.best, snapshot.average or snapshot.model, meta)
        write_predictions(layout.best_predictions, val.every_name, val.classes, best)
    files.flush(layout.metrics)  # the checkpoint relies on its lines
    checkpoint.save_last(layout.last, step, snapshot, validated=validated)


class Writer:
    """`submit` returns at once while fewer than two requests wait. After an error nothing more is written."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._pending: deque[Future[None]] = deque()
        self._error: Exception | None = None

    @property
    def broken(self) -> bool:
        """Whether a request has failed so far. Never waits."""
        return self._error is not None

    def make_room(self) -> None:
        """Wait until fewer than two requests hold tensors; call it before those of the next one are copied."""
        while self._pending and (self._pending[0].done() or len(self._pending) >= WAITING):
            self._pending.popleft().result()

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work` in the background. Never raises: `broken` and `wait` tell how it went."""
        self.make_room()
        self._pending.append(self._pool.submit(self._run, work))

    def wait(self) -> None:
        """Wait until everything is on disk. Raises SaveError."""
        while self._pending:
            self._pending.popleft().result()
        if self._error is not None:
            raise SaveError(
                f"saving failed: {self._error}. Earlier checkpoints are intact. Fix the cause, then rerun the command"
            ) from self._error

    def _run(self, work: Callable[[], None]) -> None:
        """Run `work` unless one failed before: a later file would refer to an earlier one that is not there."""
        if self.broken:
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 - safetensors has an error of its own for a full disk
            self._error = error
