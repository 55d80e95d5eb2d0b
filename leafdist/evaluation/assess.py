"""The assessment of a run on one split: judged, calibrated, scored, written into its folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from leafdist.config.extra_roots import extra_roots
from leafdist.data.folds import split_folder
from leafdist.data.groups import leaves_of_paths, read_groups
from leafdist.data.loader import Loader
from leafdist.data.open import has_split, open_loaders, origin, passed_over
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import outside, refusal
from leafdist.evaluation.fitted import calibrated, refusing_of, unless_read_only
from leafdist.evaluation.intervals import by_leaf, numbered
from leafdist.evaluation.judging import judge
from leafdist.evaluation.other_photos import is_extra, is_own, name_of, open_elsewhere, renamed_in
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import summarize
from leafdist.evaluation.tables import write_predictions, write_probabilities
from leafdist.runs.checkpoint import find_best
from leafdist.runs.evaluations import write_evaluation, write_outside
from leafdist.runs.facts import read_facts
from leafdist.runs.header import read_meta
from leafdist.runs.layout import BY_LEAF, FOUR_VIEWS, RunLayout
from leafdist.runs.load import LoadedRun, load_run
from leafdist.runs.results import Calibration, Evaluation, RefusalScores
from leafdist.system import console

LEAVES_ELSEWHERE = "unknown: other photos than those that the run was split from"


@dataclass(frozen=True)
class Request:
    """What to judge. root: where the photos are, if not as in training; groups: leaf ids; flips: average four views;
    to: the folder of the files, if not the run's; sure: the accuracy to refuse for; outside: photos of no class.
    """

    split: str = "test"
    root: str | None = None
    groups: Path | None = None
    flips: bool = False
    to: Path | None = None
    sure: float | None = None
    outside: tuple[Path, ...] = ()

    def folder(self, run: Path) -> Path:
        """The folder for the files of a run: that of its name in `to`."""
        return self.to / run.resolve().name if self.to else run


class Assessed(NamedTuple):
    """What was found of a run, and whether its files could be written."""

    evaluation: Evaluation
    written: bool
    refusal: RefusalScores | None
    fitted: Calibration | None


def check(runs: Sequence[Path], request: Request) -> None:
    """Raise ValueError for what would come to light only after the first of `runs` was evaluated."""
    folders = [request.folder(run).resolve() for run in runs]
    if twice := [run for run, folder in zip(runs, folders, strict=True) if folders.count(folder) > 1]:
        raise ValueError(
            f"{' and '.join(map(str, twice))} would be written to one folder, {request.folder(twice[0])}. Name each "
            "run once, and runs of one name each with a --to of its own"
        )
    refusal.check_wanted(request.sure)
    for run in runs:
        find_best(run)
        if request.root is None:
            check_root(run, "Name it with --data ROOT")
        if meta := read_meta(run):
            for folder in request.outside:
                data = meta.config.data
                here = request.root is None or (split_folder(data) / "train").is_dir()  # else a path of another machine
                own = [data.root] * here
                roots = [*filter(None, [request.root]), *own, *(one.path for one in extra_roots(data))]
                for root in roots:
                    outside.check_folder(folder, Path(root))
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


def assess(run: Path, request: Request, runtime: Runtime, known: Calibration | None = None) -> Assessed:
    """Judge the best checkpoint and write `eval-<name>.json`, `predictions-<name>.csv` and `probabilities-<name>.csv`,
    and `calibration.json` when it is missing; `<name>` is the split, for other photos see `name_of`, and each other way
    of judging has its own. With photos of no class also `outside-<name>.json`. A run that one may only read is judged
    all the same. known: the calibration, where it is fitted already. Raises ValueError.
    """
    to, way = request.folder(run), FOUR_VIEWS * request.flips
    loaded = load_everywhere(run, runtime, request.root)
    data, classes = loaded.config.data, loaded.classes
    own = request.root is None or is_own(run, data, runtime)
    fitted, subspace = (known, None) if known else calibrated(loaded, to, runtime, request.sure, own=own)
    unknown = None
    if own:
        loader = open_loaders(data, (request.split,), runtime, classes)[request.split]
    else:
        renamed = renamed_in(loaded, runtime)
        loader, unknown = open_elsewhere(data, request.split, runtime, classes, renamed)
    if others := loader.source.index.passed_over:
        runtime.say(passed_over(str(loader.source.index.folder), others))
    refusing = runtime.once(lambda: refusing_of(loaded, to, fitted, subspace)) if request.outside else None
    model = refusal.with_distance(loaded, refusing) if refusing else None
    unlike = {folder: outside.open_outside(folder, loaded, runtime) for folder in request.outside}  # faults come early
    names, predictions = _known(loader, judge(loaded, loader, runtime, flips=request.flips, model=model))
    groups = request.groups
    leaves = runtime.once(lambda: leaves_of_paths(names, groups) if groups else None)
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
        interval_by_leaf=by_leaf(predictions.hits, numbered(leaves)) if leaves else None,
        absent=[name for name, score in scores.classes.items() if not score.images] or None,
    )
    if unknown is not None:
        evaluation = replace(evaluation, elsewhere=str(index.folder), unknown=unknown)
        name = runtime.once(lambda: name_of(to, Path(data.root), evaluation, way))
        evaluation = replace(evaluation, split=name)
    folders = {
        folder: judge(loaded, photos, runtime, flips=request.flips, model=model) for folder, photos in unlike.items()
    }
    found = refusing and outside.score(evaluation, predictions, folders, refusing)
    written = runtime.once(lambda: unless_read_only(to, lambda: _write(to, evaluation, names, predictions, found)))
    return Assessed(evaluation, written, found, fitted)


def assess_roots(run: Path, request: Request, runtime: Runtime) -> dict[str, Assessed]:
    """`assess` of the run's own photos, under "", and of each root of its `data.extra` that has the split, by name."""
    found = {"": assess(run, request, runtime)}
    meta = runtime.once(lambda: read_meta(run))
    assert meta, "it was judged"
    data, alone = meta.config.data, replace(request, groups=None, sure=None, outside=())
    for root in extra_roots(data) if request.root is None else ():
        if Path(root.path).is_file():
            runtime.say(f"{root.path} is an archive: not judged. Unpack it, or judge it with --data {root.path}")
        elif has_split(replace(data, root=root.path, fold=None), request.split, runtime):
            found[root.name] = assess(run, replace(alone, root=root.path), runtime, found[""].fitted)
        else:
            runtime.say(f"{root.path} has no {request.split} here: nothing to judge there")
    return found


def load_everywhere(run: Path, runtime: Runtime, root: str | None = None) -> LoadedRun:
    """`load_run` on every rank. Raises ValueError on all if one fails or if they read different files."""
    loaded = runtime.everywhere(lambda: load_run(run, runtime.device, root))
    if len(set(runtime.gather(loaded.meta.sha256))) > 1:
        raise ValueError(
            f"{RunLayout(run).best} was replaced while the processes read it: the run is still training. Try again"
        )
    return loaded


def _known(loader: Loader, predictions: Predictions) -> tuple[list[str], Predictions]:
    """Names and answers of the photos whose class the run knows."""
    known = predictions.labels >= 0
    return list(compress(loader.source.index.every_name, known)), predictions.only(known)


def _write(
    run: Path, evaluation: Evaluation, names: list[str], predictions: Predictions, found: RefusalScores | None
) -> None:
    """Write the tables, then the scores."""
    layout, classes = RunLayout(run), tuple(evaluation.classes)
    write_predictions(layout.predictions(evaluation.split), names, classes, predictions)
    write_probabilities(layout.probabilities(evaluation.split), names, classes, predictions)
    write_evaluation(run, evaluation.split, replace(evaluation, interval_by_leaf=None))
    if evaluation.interval_by_leaf:
        write_evaluation(run, evaluation.split + BY_LEAF, evaluation)
    if found:
        write_outside(run, found)
    console.say(f"wrote {layout.evaluation(evaluation.split)}, predictions and probabilities beside it")
