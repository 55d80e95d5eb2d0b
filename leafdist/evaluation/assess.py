"""The assessment of a run on one split: judged, calibrated, scored, written into its folder."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

from leafdist.data.augment import Augment
from leafdist.data.groups import leaves_of_paths, read_groups
from leafdist.data.loader import Loader
from leafdist.data.open import has_split, open_loaders, origin
from leafdist.data.plan import EVALUATION_BATCH
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import calibration
from leafdist.evaluation.evaluate import Judging, batches_at_once, evaluate
from leafdist.evaluation.intervals import by_leaf
from leafdist.evaluation.other_photos import is_own, name_of, open_elsewhere
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import summarize
from leafdist.evaluation.tables import write_predictions, write_probabilities
from leafdist.runs.checkpoint import find_best
from leafdist.runs.evaluations import read_calibration, write_calibration, write_evaluation
from leafdist.runs.layout import RunLayout
from leafdist.runs.load import LoadedRun, load_run
from leafdist.runs.results import Calibration, Evaluation
from leafdist.system import console

LEAVES_ELSEWHERE = "unknown: other photos than those that the run was split from"


@dataclass(frozen=True)
class Request:
    """What to judge. root: where the photos are, if not as in training; groups: leaf ids; flips: average four views."""

    split: str = "test"
    root: str | None = None
    groups: Path | None = None
    flips: bool = False


def check(runs: Iterable[Path], request: Request) -> None:
    """Raise ValueError for what would come to light only after the first of `runs` was evaluated."""
    for run in runs:
        find_best(run)
    if request.groups:
        read_groups(request.groups)


def assess(run: Path, request: Request, runtime: Runtime) -> Evaluation:
    """Judge the best checkpoint and write `eval-<name>.json`, `predictions-<name>.csv` and `probabilities-<name>.csv`,
    and `calibration.json` when it is missing; `<name>` is the split, for other photos see `name_of`. Raises ValueError.
    """
    loaded = load_everywhere(run, runtime, request.root)
    data, classes = loaded.config.data, loaded.classes
    own = request.root is None or is_own(run, data, runtime)
    mismatch = None
    if own:
        loader = open_loaders(data, (request.split,), runtime, classes)[request.split]
    else:
        loader, mismatch = open_elsewhere(data, request.split, runtime, classes)
    names, predictions = _known(loader, _judge(loaded, loader, runtime, flips=request.flips))
    groups = request.groups
    leaves = runtime.once(lambda: leaves_of_paths(names, groups) if groups else None)
    fitted = _calibration(loaded, runtime, own=own)
    index, source = loader.source.index, origin(loader.source.index)
    scores = summarize(predictions, request.split, classes, fitted)
    evaluation = replace(
        scores,
        checkpoint=loaded.meta.sha256,
        tta=request.flips,
        data=index.digest,
        root=str(index.folder.parent.resolve()),
        split_digest=source.split_digest,
        leaf_disjoint=source.leaf_disjoint if own else LEAVES_ELSEWHERE,
        interval_by_leaf=by_leaf(predictions.hits, leaves) if leaves else None,
        absent=[name for name, score in scores.classes.items() if not score.images] or None,
    )
    if mismatch:
        evaluation = replace(
            evaluation,
            split=runtime.once(lambda: name_of(run, Path(data.root), evaluation)),
            elsewhere=str(index.folder),
            unknown=mismatch.unknown,
            absent=mismatch.absent,
        )
    runtime.once(lambda: _write(run, evaluation, names, predictions))
    return evaluation


def _judge(loaded: LoadedRun, loader: Loader, runtime: Runtime, *, flips: bool) -> Predictions:
    """Evaluate with the preprocessing and the precision of the training, under a progress bar."""
    config = loaded.config
    augment = Augment.from_config(config.data).for_evaluation()
    judging = Judging(config.train.precision, config.crop_seed, keep_logits=True, flips=flips)
    with _progress(loader, runtime) as advance:
        return evaluate(loaded.model, loader, augment, runtime, judging, between=advance)


def load_everywhere(run: Path, runtime: Runtime, root: str | None = None) -> LoadedRun:
    """`load_run` on every rank. Raises ValueError on all if one fails or if they read different files."""
    loaded = runtime.everywhere(lambda: load_run(run, runtime.device, root))
    if len(set(runtime.gather(loaded.meta.sha256))) > 1:
        raise ValueError(
            f"{RunLayout(run).best} was replaced while the processes read it: the run is still training. Try again"
        )
    return loaded


@contextmanager
def _progress(loader: Loader, runtime: Runtime) -> Iterator[Callable[[], None]]:
    """A bar on rank 0's terminal, and what advances it after each round of batches."""
    index = loader.source.index
    round_size = EVALUATION_BATCH[runtime.device.type] * batches_at_once(runtime) * runtime.world
    with console.bar(len(index), "photo", index.folder.name, shown=runtime.is_main) as bar:

        def advance() -> None:
            bar.update(min(round_size, len(index) - bar.n))

        yield advance


def _known(loader: Loader, predictions: Predictions) -> tuple[list[str], Predictions]:
    """Names and answers of the photos whose class the run knows."""
    known = predictions.labels >= 0
    return list(compress(loader.source.index.every_name, known)), predictions.only(known)


def _calibration(loaded: LoadedRun, runtime: Runtime, *, own: bool) -> Calibration | None:
    """The checkpoint's calibration, fitted on val if it is missing; None if the run's photos are gone."""
    run, data, checkpoint = loaded.path, loaded.config.data, loaded.meta.sha256
    fitted, _ = runtime.once(lambda: read_calibration(run, checkpoint))
    if fitted or not own or not has_split(data, "val", runtime):
        return fitted
    loader = open_loaders(data, ("val",), runtime, loaded.classes)["val"]
    predictions = _judge(loaded, loader, runtime, flips=False)
    readable = predictions.only(predictions.predicted >= 0)
    fitted = calibration.fit(readable.kept_logits, readable.labels, "val", checkpoint)
    runtime.once(lambda: write_calibration(run, fitted))
    return fitted


def _write(run: Path, evaluation: Evaluation, names: list[str], predictions: Predictions) -> None:
    """Write the tables, then the scores."""
    layout, classes = RunLayout(run), tuple(evaluation.classes)
    write_predictions(layout.predictions(evaluation.split), names, classes, predictions)
    write_probabilities(layout.probabilities(evaluation.split), names, classes, predictions)
    write_evaluation(run, evaluation.split, evaluation)
    console.say(f"wrote {layout.evaluation(evaluation.split)}, predictions and probabilities beside it")
