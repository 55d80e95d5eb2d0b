"""Judges photos with the network of a run, as its training would."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from leafdist.data.augment import Augment
from leafdist.data.loader import Loader
from leafdist.data.plan import EVALUATION_BATCH
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import Judging, batches_at_once, evaluate
from leafdist.evaluation.predictions import Predictions
from leafdist.models.before_head import WithMore
from leafdist.runs.load import LoadedRun
from leafdist.system import console


def judge(
    loaded: LoadedRun,
    loader: Loader,
    runtime: Runtime,
    *,
    flips: bool = False,
    model: WithMore | None = None,
    most: int | None = None,
) -> Predictions:
    """Evaluate with the preprocessing and the precision of the training, under a progress bar.

    model: the run's network, whose logits are followed by more; most: of so many photos at most.
    """
    config = loaded.config
    augment = Augment.from_config(config.data).for_evaluation()
    more = model.columns if model else 0
    judging = Judging(config.train.precision, config.crop_seed, keep_logits=True, flips=flips, more=more, most=most)
    with _progress(loader, runtime) as advance:
        return evaluate(model or loaded.model, loader, augment, runtime, judging, between=advance)


@contextmanager
def _progress(loader: Loader, runtime: Runtime) -> Iterator[Callable[[], None]]:
    """A bar on rank 0's terminal, and what advances it after each round of batches."""
    index = loader.source.index
    round_size = EVALUATION_BATCH[runtime.device.type] * batches_at_once(runtime) * runtime.world
    with console.bar(len(index), "photo", index.folder.name, shown=runtime.is_main) as bar:

        def advance() -> None:
            bar.update(min(round_size, len(index) - bar.n))

        yield advance
