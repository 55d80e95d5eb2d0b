"""Exact evaluation: each photo once, and the same numbers whatever the number of processes."""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leafdist.data.augment import Augment
from leafdist.data.index import Index
from leafdist.data.loader import Batch, Loader
from leafdist.data.plan import Purpose, Share, stream_key, uniform_rows
from leafdist.distributed.runtime import Runtime, cast_once
from leafdist.evaluation.metrics import Predictions

FACTS = 4  # of each photo: seen, predicted, loss, confidence
BATCH = {"cpu": 64, "cuda": 256}  # fixed, with fixed places: no number depends on who evaluates what; 64 fit in caches


def evaluate(
    model: nn.Module,
    loader: Loader,
    augment: Augment,
    runtime: Runtime,
    *,
    precision: str,
    random_crop_seed: int | None = None,
    between: Callable[[], None] = lambda: None,
    logits: bool = False,
    flips: bool = False,
) -> Predictions:
    """Predict every photo of the loader's source; batches are dealt to the ranks in turn.

    With `random_crop_seed` each photo gets its own random crop, always the same one, instead of the centre's. All ranks
    call `between` equally often, between batches. With `logits` they are kept; with `flips` each photo is judged as it
    is, mirrored, upside down and both, and the four probabilities are averaged.
    """

    def judge(batch: Batch) -> None:
        images, labels, rows = batch.tensors
        draws = None
        if random_crop_seed is not None:
            key = stream_key(random_crop_seed, 0, Purpose.EVALUATE)
            draws = torch.from_numpy(uniform_rows(key, int(rows[0]), len(rows))).to(runtime.device)
        with torch.inference_mode(), runtime.autocast(precision):
            answers = _answers(network, augment(images, draws), flips=flips)
            table[rows] = _judge(answers, labels)[:, : table.shape[1]]

    index = loader.source.index
    width = FACTS + (len(index.classes) if logits else 0)
    table = torch.zeros((len(index), width), dtype=torch.float64, device=runtime.device)
    places = np.arange(len(index))
    size = BATCH[runtime.device.type]
    mine = [places[start : start + size] for start in range(0, len(index), size)][runtime.rank :: runtime.world]
    was_training = model.training
    model.eval()
    network = cast_once(model, precision)
    with _batch_a_core(runtime) as run:
        batches = loader.batches(map(Share.undrawn, mine))
        at_once = together(runtime)
        (rounds,) = runtime.highest(-(-len(mine) // at_once))
        for _ in range(rounds):
            list(run(judge, list(islice(batches, at_once))))
            between()
    model.train(was_training)
    columns = runtime.sum(table).T.cpu().numpy()  # each row has one non-zero summand: exact
    seen, predicted, loss, confidence = columns[:FACTS]
    assert (seen == 1).all(), "every photo is counted once"
    answers = (predicted.astype(np.int64), loss, confidence, columns[FACTS:].T if logits else None)
    seen_ones = Predictions(index.labels.astype(np.int64), *answers)
    return _with_set_aside(seen_ones, index)


def together(runtime: Runtime) -> int:
    """Batches of a round: one a core, or one on a GPU."""
    return runtime.cpus if runtime.device.type == "cpu" else 1


def _with_set_aside(predictions: Predictions, index: Index) -> Predictions:
    """Photos that cannot be read are counted as wrong, with the loss of a guess, ln(classes): never left out."""
    if not index.set_aside:
        return predictions
    labels = np.array([photo.label for photo in index.set_aside])
    logits = predictions.logits
    return Predictions(
        np.concatenate([predictions.labels, labels]),
        np.concatenate([predictions.predicted, np.full(len(labels), -1)]),
        np.concatenate([predictions.loss, np.full(len(labels), np.log(len(index.classes)))]),
        np.concatenate([predictions.confidence, np.zeros(len(labels))]),
        None if logits is None else np.concatenate([logits, np.full((len(labels), logits.shape[1]), np.nan)]),
    )


@contextmanager
def _batch_a_core(runtime: Runtime) -> Iterator[Callable[..., Iterable[None]]]:
    """`map`; on a CPU one batch a core, since how many cores share a sum changes its last bits."""
    if runtime.device.type != "cpu":
        yield map
        return
    with ThreadPoolExecutor(runtime.cpus, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool.map
    torch.set_num_threads(runtime.cpus)


def _answers(model: nn.Module, images: Tensor, *, flips: bool) -> Tensor:
    """Logits (B,C); with `flips` the logarithm of the mean probability of four views."""
    if not flips:
        return model(images)  # type: ignore[no-any-return]
    views = (images, images.flip(3), images.flip(2), images.flip(2, 3))
    return torch.stack([model(view).float().log_softmax(1) for view in views]).logsumexp(0) - math.log(len(views))


def _judge(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits (B,C) and labels (B,) -> float64 (B,4+C): seen, predicted, loss, confidence, logits."""
    logits = logits.float() if logits.dtype != torch.float64 else logits
    loss = F.cross_entropy(logits, labels, reduction="none")
    confidence, predicted = logits.softmax(1).max(1)
    facts = torch.stack([column.double() for column in (torch.ones_like(loss), predicted, loss, confidence)], 1)
    return torch.cat([facts, logits.double()], 1)
