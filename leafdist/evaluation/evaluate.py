"""Exact evaluation: each photo once, and the same numbers whatever the number of processes."""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from leafdist.data.augment import Augment
from leafdist.data.index import Index
from leafdist.data.loader import Batch, Loader
from leafdist.data.plan import EVALUATION_BATCH, Purpose, Share, stream_key, uniform_rows
from leafdist.distributed.memory import memory_for
from leafdist.distributed.precision import AMP
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.predictions import UNREADABLE, Predictions, spread
from leafdist.system.errors import UnopenedPhotoError, UnreadablePhotoError

FACTS = 4  # columns for each photo: seen, predicted, loss, confidence


@dataclass(frozen=True)
class Judging:
    """How photos are judged.

    crop_seed: each photo gets its own random crop, always the same one, instead of the center's. flips: the mean
    probabilities of four views: the photo as it is, mirrored, upside down, and both. columns: the width
    of a network's output where it is not one per class, as with features; more: columns of it that follow the logits,
    of the photo as it is; most: they are kept of the photos that `spread` chooses alone.
    """

    precision: str
    crop_seed: int | None = None
    keep_logits: bool = False
    flips: bool = False
    columns: int | None = None
    more: int = 0
    most: int | None = None


class Further:
    """What follows the logits of photos, float64 on the device, of those that are kept; the last row takes the rest."""

    def __init__(self, photos: int, judging: Judging, device: torch.device) -> None:
        kept = torch.from_numpy(spread(photos, judging.most))
        self.slots = torch.full((photos,), len(kept)).index_put((kept,), torch.arange(len(kept))).to(device)
        self.table = torch.zeros((len(kept) + 1, judging.more), dtype=torch.float64, device=device)

    def keep(self, rows: Tensor, further: Tensor) -> None:
        """Keep what was found of the photos `rows` (B,): (B,M)."""
        self.table[self.slots[rows]] = further.double()


def evaluate(
    model: nn.Module,
    loader: Loader,
    augment: Augment,
    runtime: Runtime,
    judging: Judging,
    *,
    between: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predict every photo of the loader's source, batches dealt to the ranks in turn.

    All ranks call `between` equally often, between batches. Raises ValueError, on all ranks, for an unreadable photo.
    """
    index = loader.source.index
    columns = judging.columns or len(index.classes)
    width = FACTS + columns * judging.keep_logits
    table = torch.zeros((len(index), width), dtype=torch.float64, device=runtime.device)
    further = Further(len(index), judging, runtime.device) if judging.more else None
    was_training, faults = model.training, list[str]()
    model.eval()

    def readable(batches: Iterable[Batch]) -> Iterator[Batch]:
        try:
            yield from batches
        except UnreadablePhotoError as error:  # met by this rank alone: the others hear of it once all have ended
            of_this_node = runtime.world > 1 and isinstance(error, UnopenedPhotoError)  # its disk does not answer
            faults.append(f"rank {runtime.rank}: {error}" if of_this_node else str(error))

    def judge(batch: Batch) -> None:
        images, labels, rows, _ = batch.tensors
        seed = judging.crop_seed
        draws = None if seed is None else _crop_draws(batch.share, seed).to(runtime.device)
        with torch.inference_mode(), runtime.autocast(judging.precision):
            output = _output(network, augment(images, draws), columns, flips=judging.flips)
            table[rows] = _facts(output[:, :columns], labels)[:, :width]
            if further:
                further.keep(rows, output[:, columns:])

    mine = _batches_of_rank(len(index), runtime)
    at_once, resident = batches_at_once(runtime), loader.pack is not None
    room = memory_for(f"in evaluation, with {EVALUATION_BATCH[runtime.device.type]} photos at once", resident=resident)
    with room, _one_batch_per_core(runtime) as run, _untimed_kernels():
        network = cast_once(model, judging.precision)
        batches = readable(loader.batches(map(Share.undrawn, mine)))
        (rounds,) = runtime.highest(-(-len(mine) // at_once))
        for _ in range(rounds):
            list(run(judge, islice(batches, at_once)))
            between()
    model.train(was_training)
    for of_rank in runtime.gather(faults):
        if of_rank:
            raise ValueError(of_rank[0])
    more = runtime.sum(further.table[:-1]).cpu().numpy() if further else None
    found = _with_set_aside(runtime.sum(table).cpu().numpy(), index)  # each row has one non-zero summand: exact
    if more is not None and judging.most is None:
        more = np.concatenate([more, np.full((len(index.set_aside), judging.more), np.nan)])
    return replace(found, more=more)


def batches_at_once(runtime: Runtime) -> int:
    """Batches of a round on this rank: one per core; on a GPU as many as training takes steps between two polls."""
    return runtime.cpus if runtime.device.type == "cpu" else runtime.poll_every


def cast_once(model: nn.Module, precision: str) -> nn.Module:
    """Copy the model with the weights that autocast would make anew for each batch; the answers are the same."""
    if precision not in AMP:
        return model
    cast = deepcopy(model)
    for module in cast.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.to(AMP[precision])
    return cast


def _batches_of_rank(photos: int, runtime: Runtime) -> list[NDArray[np.int64]]:
    """The rows of every world-th batch, from the rank's first one on."""
    size = EVALUATION_BATCH[runtime.device.type]
    starts = range(size * runtime.rank, photos, size * runtime.world)
    return [np.arange(start, min(start + size, photos)) for start in starts]


def _crop_draws(share: Share, seed: int) -> Tensor:
    """Draw the crops of consecutive photos; their numbers are known on the host."""
    first = int(share.indices[0])
    return torch.from_numpy(uniform_rows(stream_key(seed, 0, Purpose.EVALUATE), first, len(share)))


@contextmanager
def _one_batch_per_core(runtime: Runtime) -> Iterator[Callable[..., Iterable[None]]]:
    """`map`; on a CPU one batch per core, since how many cores share a sum changes its last bits."""
    if runtime.device.type != "cpu":
        yield map
        return
    with ThreadPoolExecutor(runtime.cpus, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool.map
    torch.set_num_threads(runtime.cpus)


@contextmanager
def _untimed_kernels() -> Iterator[None]:
    """Let cuDNN choose kernels by rule, not by timing them: else ranks might differ in the last bits."""
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _output(model: nn.Module, images: Tensor, columns: int, *, flips: bool) -> Tensor:
    """Logits (B,columns) and what follows them; with `flips` the logarithm of the mean probability of four views."""
    if not flips:
        return model(images)  # type: ignore[no-any-return]
    outputs = [model(view).float() for view in (images, images.flip(3), images.flip(2), images.flip(2, 3))]
    mean = torch.stack([output[:, :columns].log_softmax(1) for output in outputs]).logsumexp(0) - math.log(len(outputs))
    return torch.cat([mean, outputs[0][:, columns:]], 1)


def _facts(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits (B,C) and labels (B,) -> float64 (B,4+C): seen, predicted, loss, confidence, logits."""
    logits = logits.float() if logits.dtype != torch.float64 else logits
    loss = F.cross_entropy(logits, labels, reduction="none")
    confidence, predicted = logits.softmax(1).max(1)
    facts = torch.stack([column.double() for column in (torch.ones_like(loss), predicted, loss, confidence)], 1)
    return torch.cat([facts, logits.double()], 1)


def _with_set_aside(table: NDArray[np.float64], index: Index) -> Predictions:
    """Add the photos that cannot be read to the table (n,4+C): wrong, with the loss of a guess, ln(classes)."""
    assert (table[:, 0] == 1).all(), "every photo is counted once"
    aside = np.full((len(index.set_aside), table.shape[1]), np.nan)
    aside[:, :FACTS] = 1, UNREADABLE, np.log(len(index.classes)), 0
    table = np.concatenate([table, aside])
    labels = np.concatenate([index.labels, [photo.label for photo in index.set_aside]]).astype(np.int64)
    _, predicted, loss, confidence = table[:, :FACTS].T
    logits = table[:, FACTS:] if table.shape[1] > FACTS else None
    return Predictions(labels, predicted.astype(np.int64), loss, confidence, logits)
