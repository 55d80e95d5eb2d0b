"""The assessment of a run on one split: judged, calibrated, scored, written into its folder."""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from leafdist.config.extra_roots import extra_roots
from leafdist.data.augment import Augment
from leafdist.data.groups import leaves_of_paths, read_groups
from leafdist.data.loader import Loader
from leafdist.data.open import has_split, open_loaders, origin
from leafdist.data.plan import EVALUATION_BATCH
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import calibration
from leafdist.evaluation.evaluate import Judging, batches_at_once, evaluate
from leafdist.evaluation.intervals import by_leaf
from leafdist.evaluation.other_photos import is_extra, is_own, name_of, open_elsewhere
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import summarize
from leafdist.evaluation.tables import write_predictions, write_probabilities
from leafdist.runs.checkpoint import find_best
from leafdist.runs.evaluations import read_calibration, write_calibration, write_evaluation
from leafdist.runs.facts import read_facts
from leafdist.runs.header import read_meta
from leafdist.runs.layout import BY_LEAF, FOUR_VIEWS, RunLayout
from leafdist.runs.load import LoadedRun, load_run
from leafdist.runs.results import Calibration, Evaluation
from leafdist.system import console

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
LEAVES_ELSEWHERE = "unknown: other photos than those that the run was split from"


@dataclass(frozen=True)
class Request:
    """What to judge. root: where the photos are, if not as in training; groups: leaf ids; flips: average four views;
    to: the folder of the files, if not the run's.
    """

    split: str = "test"
    root: str | None = None
    groups: Path | None = None
    flips: bool = False
    to: Path | None = None

    def folder(self, run: Path) -> Path:
        """The folder for the files of a run: that of its name in `to`."""
        return self.to / run.resolve().name if self.to else run


class Assessed(NamedTuple):
    """What was found of a run, and whether its files could be written."""

    evaluation: Evaluation
    written: bool


def check(runs: Sequence[Path], request: Request) -> None:
    """Raise ValueError for what would come to light only after the first of `runs` was evaluated."""
    folders = [request.folder(run).resolve() for run in runs]
    if twice := [run for run, folder in zip(runs, folders, strict=True) if folders.count(folder) > 1]:
        raise ValueError(
            f"{' and '.join(map(str, twice))} would be written to one folder, {request.folder(twice[0])}. Name each "
            "run once, and runs of one name each with a --to of its own"
        )
    for run in runs:
        find_best(run)
        if request.root is None:
            check_root(run, "Name it with --data ROOT")
    if request.groups:
        read_groups(request.groups)


def check_root(run: Path, way: str) -> None:
    """Raise ValueError, with the folder that it starts from and the `way` out, for a relative data.root not here."""
    meta, starts = read_meta(run), read_facts(run).starts
    trained = Path(meta.config.data.root) if meta else Path()
    if not trained.exists() and not trained.is_absolute():
        where = starts[-1].folder if starts else None
        began = f" {where}, where train.py was started" if where else " the folder in which train.py was started"
        raise ValueError(f"{run}: data.root={trained} is not here: it is relative to{began}. {way}")


def assess(run: Path, request: Request, runtime: Runtime) -> Assessed:
    """Judge the best checkpoint and write `eval-<name>.json`, `predictions-<name>.csv` and `probabilities-<name>.csv`,
    and `calibration.json` when it is missing; `<name>` is the split, for other photos see `name_of`, and each other way
    of judging has its own. A run that one may only read is judged all the same. Raises ValueError.
    """
    to, way = request.folder(run), FOUR_VIEWS * request.flips
    loaded = load_everywhere(run, runtime, request.root)
    data, classes = loaded.config.data, loaded.classes
    own = request.root is None or is_own(run, data, runtime)
    mismatch = None
    if own:
        loader = open_loaders(data, (request.split,), runtime, classes)[request.split]
    else:
        renamed = runtime.once(lambda: read_facts(run).class_map)
        loader, mismatch = open_elsewhere(data, request.split, runtime, classes, renamed)
    names, predictions = _known(loader, _judge(loaded, loader, runtime, flips=request.flips))
    groups = request.groups
    leaves = runtime.once(lambda: leaves_of_paths(names, groups) if groups else None)
    fitted = _calibration(loaded, to, runtime, own=own)
    index, source = loader.source.index, origin(loader.source.index)
    scores = summarize(predictions, request.split, classes, fitted)
    evaluation = replace(
        scores,
        checkpoint=loaded.meta.sha256,
        split=request.split + way,
        tta=request.flips,
        data=index.digest,
        root=str(index.folder.parent.resolve()),
        split_digest=source.split_digest,
        leaf_disjoint=source.leaf_disjoint if own or is_extra(run, data, runtime) else LEAVES_ELSEWHERE,
        interval_by_leaf=by_leaf(predictions.hits, leaves) if leaves else None,
        absent=[name for name, score in scores.classes.items() if not score.images] or None,
    )
    if mismatch:
        evaluation = replace(
            evaluation,
            split=runtime.once(lambda: name_of(to, Path(data.root), evaluation, way)),
            elsewhere=str(index.folder),
            unknown=mismatch.unknown,
            absent=mismatch.absent,
        )
    written = runtime.once(lambda: _unless_read_only(to, lambda: _write(to, evaluation, names, predictions)))
    return Assessed(evaluation, written)


def assess_roots(run: Path, request: Request, runtime: Runtime) -> dict[str, Assessed]:
    """`assess` of the run's own photos, under "", and of each root of its `data.extra` that has the split, by name."""
    found = {"": assess(run, request, runtime)}
    meta = runtime.once(lambda: read_meta(run))
    assert meta, "it was judged"
    data = meta.config.data
    for root in extra_roots(data) if request.root is None else ():
        if has_split(replace(data, root=root.path, fold=None), request.split, runtime):
            found[root.name] = assess(run, replace(request, root=root.path, groups=None), runtime)
        else:
            runtime.say(f"{root.path} has no {request.split} here: nothing to judge there")
    return found


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


def _calibration(loaded: LoadedRun, to: Path, runtime: Runtime, *, own: bool) -> Calibration | None:
    """The checkpoint's calibration, fitted on val if it is missing; None if the run's photos are gone."""
    run, data, checkpoint = loaded.path, loaded.config.data, loaded.meta.sha256
    fitted = runtime.once(lambda: read_calibration(to, checkpoint)[0] or read_calibration(run, checkpoint)[0])
    if fitted or not own or not has_split(data, "val", runtime):
        return fitted
    loader = open_loaders(data, ("val",), runtime, loaded.classes)["val"]
    predictions = _judge(loaded, loader, runtime, flips=False)
    readable = predictions.only(predictions.predicted >= 0)
    fitted = calibration.fit(readable.kept_logits, readable.labels, "val", checkpoint)
    runtime.once(lambda: _unless_read_only(to, lambda: write_calibration(to, fitted)))
    return fitted


def _unless_read_only(folder: Path, write: Callable[[], None]) -> bool:
    """Write; warn and return False where the folder may only be read."""
    try:
        write()
        return True  # noqa: TRY300
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        console.warn(f"not written: {folder} may only be read ({error.strerror}). --to FOLDER takes the files")
        return False


def _write(run: Path, evaluation: Evaluation, names: list[str], predictions: Predictions) -> None:
    """Write the tables, then the scores."""
    layout, classes = RunLayout(run), tuple(evaluation.classes)
    write_predictions(layout.predictions(evaluation.split), names, classes, predictions)
    write_probabilities(layout.probabilities(evaluation.split), names, classes, predictions)
    write_evaluation(run, evaluation.split, replace(evaluation, interval_by_leaf=None))
    if evaluation.interval_by_leaf:
        write_evaluation(run, evaluation.split + BY_LEAF, evaluation)
    console.say(f"wrote {layout.evaluation(evaluation.split)}, predictions and probabilities beside it")
