"""All that is said of a run on one split: judged, calibrated, counted from every side, written into its folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from leafdist.config.schema import Config
from leafdist.data import open as sources
from leafdist.data.augment import Augment
from leafdist.data.loader import Loader
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import calibration
from leafdist.evaluation.calibration import Calibration
from leafdist.evaluation.evaluate import BATCH, evaluate, together
from leafdist.evaluation.intervals import by_leaf
from leafdist.evaluation.metrics import Predictions
from leafdist.evaluation.other_photos import has_split, is_own, name_of, open_elsewhere
from leafdist.evaluation.tables import write_predictions, write_probabilities
from leafdist.runs.load import load_everywhere
from leafdist.system import console, files

LEAVES_ELSEWHERE = "unknown: other photos than those that the run was split from"


@dataclass(frozen=True)
class Request:
    """What to judge: a split; other photos than the run's; leaf ids; four views of each photo instead of one."""

    split: str = "test"
    root: str | None = None
    groups: Path | None = None
    flips: bool = False


def assess(run: Path, request: Request, runtime: Runtime) -> dict[str, Any]:
    """Writes `eval-<split>.json`, `predictions-<split>.csv` and `probabilities-<split>.csv` into the run folder, and
    `calibration.json` when it is missing. Returns the first one's content.

    Photos that are not the run's own give `<split>@<folder>` instead of `<split>`, see `name_of`. Raises ValueError.
    """
    loaded = load_everywhere(run, runtime, request.root)
    config, classes, checkpoint = loaded.config, loaded.classes, loaded.meta.sha256
    augment = Augment.from_config(config.data).for_evaluation()

    def judge(loader: Loader, *, flips: bool = request.flips) -> Predictions:
        precision, seed = config.train.precision, config.crop_seed
        how: dict[str, Any] = {"precision": precision, "random_crop_seed": seed, "logits": True, "flips": flips}
        with _progress(loader, runtime) as advance:
            return evaluate(loaded.model, loader, augment, runtime, between=advance, **how)

    own = request.root is None or is_own(run, config.data, runtime)
    if own:
        loader, matched = sources.open_loaders(config.data, (request.split,), runtime, classes)[request.split], None
    else:
        loader, matched = open_elsewhere(config.data, request.split, runtime, classes)
    predictions = judge(loader)
    fitted = _calibration(run, config, classes, judge, runtime, checkpoint=checkpoint, own=own)
    names, predictions = _known(loader, predictions)
    index = loader.source.index
    photos = {"data": index.digest, "root": str(index.folder.parent.resolve())}
    root = Path(config.data.root)
    name = request.split if own else runtime.once(lambda: name_of(run, request.split, root, photos))
    result = predictions.summary(name, classes)
    assert predictions.logits is not None
    result["calibration"] = calibration.report(predictions.logits, predictions.labels, fitted)
    result |= {"checkpoint": checkpoint, "tta": request.flips, **photos, **sources.origin(index)}
    if matched is not None:
        result |= {"elsewhere": str(index.folder), "leaf_disjoint": LEAVES_ELSEWHERE, **matched}
    if groups := request.groups:
        leaves = runtime.once(lambda: sources.leaves_of(names, groups))
        result["interval_by_leaf"] = by_leaf(predictions.hits, leaves)

    def write() -> None:
        write_predictions(run / f"predictions-{name}.csv", names, classes, predictions)
        write_probabilities(run / f"probabilities-{name}.csv", names, classes, predictions)
        files.write_json(run / f"eval-{name}.json", result)

    runtime.once(write)
    return result


@contextmanager
def _progress(loader: Loader, runtime: Runtime) -> Iterator[Callable[[], None]]:
    """A bar on rank 0's terminal, and what moves it on after each round of batches."""
    if not runtime.is_main:
        yield lambda: None
        return
    index = loader.source.index
    at_once = BATCH[runtime.device.type] * together(runtime) * runtime.world
    with console.bar(len(index), "photo", index.folder.name) as bar:

        def advance() -> None:
            bar.update(min(at_once, len(index) - bar.n))

        yield advance


def _calibration(
    run: Path,
    config: Config,
    classes: tuple[str, ...],
    judge: Callable[..., Predictions],
    runtime: Runtime,
    *,
    checkpoint: str,
    own: bool,
) -> Calibration | None:
    """That of the best checkpoint, fitted on val when it is not there yet; None where the run's photos are gone."""
    fitted, _ = runtime.once(lambda: calibration.find(run, checkpoint))
    if fitted or not own or not has_split(config.data, "val", runtime):
        return fitted
    loader = sources.open_loaders(config.data, ("val",), runtime, classes)["val"]
    predictions = judge(loader, flips=False)
    assert predictions.logits is not None
    readable = predictions.predicted >= 0
    fitted = calibration.fit(predictions.logits[readable], predictions.labels[readable], "val", checkpoint)
    runtime.once(lambda: fitted.save(run))
    return fitted


def _known(loader: Loader, predictions: Predictions) -> tuple[list[str], Predictions]:
    """Paths and answers of the photos whose class the run knows."""
    index = loader.source.index
    names = index.every_name
    known = predictions.labels >= 0
    if known.all():
        return names, predictions
    assert predictions.logits is not None
    columns = ("labels", "predicted", "loss", "confidence", "logits")
    kept = {column: getattr(predictions, column)[known] for column in columns}
    return [names[place] for place in np.flatnonzero(known)], replace(predictions, **kept)
