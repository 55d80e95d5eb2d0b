"""What refusing is worth: on a split, and on photos of folders that show none of the run's classes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.data.index import Index
from leafdist.data.loader import Loader
from leafdist.data.names import Names
from leafdist.data.open import worker_count
from leafdist.data.quarantine import find_bad
from leafdist.data.source import FolderSource
from leafdist.data.their_classes import UNKNOWN
from leafdist.data.walk import photos_below
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.intervals import wilson
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.refusal import NOT_OURS, reasons
from leafdist.runs.evaluations import Refusing
from leafdist.runs.load import LoadedRun
from leafdist.runs.results import Evaluation, OutsideFolder, RefusalScores, Separation
from leafdist.system import console

POINTS = 100  # of the curve
Floats = NDArray[np.float64]


def check_folder(folder: Path, root: Path) -> None:
    """Raises ValueError where `folder` is none, or holds photos of the run's data root or lies in it."""
    here, own = folder.resolve(), root.resolve()
    if not folder.is_dir():
        raise ValueError(f"--outside {folder}: no such folder. Name one of photos that show none of the run's classes")
    if here == own or here in own.parents or own in here.parents:
        raise ValueError(
            f"--outside {folder}: the run's own photos are in {root}. Name a folder of photos that show none of its "
            "classes"
        )
    if not any(photos_below([folder], lambda _: None)):
        raise ValueError(f"--outside {folder}: it holds no photo, nor do its sub-folders. Name a folder of photos")


def open_outside(folder: Path, loaded: LoadedRun, runtime: Runtime) -> Loader:
    """Open all photos below `folder`, with the label UNKNOWN. Raises ValueError for one that cannot be read."""
    data = loaded.config.data
    cores = runtime.cpus * runtime.local_world

    def list_photos() -> Index:
        files: dict[str, list[bytes]] = {}
        for path in photos_below([folder], console.warn):
            files.setdefault(str(path.parent.relative_to(folder)), []).append(os.fsencode(path.name))
        names = Names.of(files)
        index = Index(folder, loaded.classes, names, np.full(len(names), UNKNOWN, np.int16), "", "")
        if bad := find_bad(index, cores, data.max_pixels):
            raise ValueError(f"--outside {folder}: {next(iter(bad.values()))}. Remove it")
        return index

    source = FolderSource(runtime.once(list_photos), int(data.resize), data.fit, data.max_pixels, data.interpolation)
    workers = worker_count(data, runtime.cpus, runtime.device.type)
    return Loader(source, runtime.device, workers, watchdog=runtime.watchdog)


@dataclass(frozen=True)
class Marks:
    """What refusal goes by: confidence, calibrated, and distance (n,); NaN for a photo that cannot be read."""

    confidence: Floats
    distance: Floats

    @classmethod
    def of(cls, predictions: Predictions, temperature: float) -> "Marks":
        """Read them from answers that were given with their distance."""
        assert predictions.more is not None
        return cls(confidence_of(predictions.kept_logits, temperature), predictions.more[:, 0])


def confidence_of(logits: Floats, temperature: float) -> Floats:
    """Calibrated probability of the first answer: logits (n,C) -> (n,)."""
    from scipy.special import softmax  # noqa: PLC0415 - a training starts without it

    return np.asarray(softmax(logits / temperature, axis=1).max(1))


def score(
    judged: Evaluation, predictions: Predictions, outside: dict[Path, Predictions], refusing: Refusing
) -> RefusalScores:
    """Judge refusals on the split of an evaluation and on each folder; an unreadable photo of the split is refused."""
    inside, refusal = Marks.of(predictions, refusing.temperature), refusing.refusal
    why = np.array(reasons(inside.confidence, inside.distance, refusal))
    given = predictions.hits[why == ""]
    curve = accuracies(inside.confidence, predictions.hits)
    steps = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), POINTS)).astype(int))
    marks = {folder: Marks.of(found, refusing.temperature) for folder, found in outside.items()}
    return RefusalScores(
        split=judged.split,
        images=len(why),
        checkpoint=judged.checkpoint,
        data=judged.data,
        refusal=refusal,
        answered=float((why == "").mean()),
        accuracy=float(given.mean()) if len(given) else None,
        not_ours=float((why == NOT_OURS).mean()),
        aurc=float(1 - curve.mean()),
        curve=[((row + 1) / len(curve), float(curve[row])) for row in steps.tolist()],
        outside=[_folder(folder, found, inside, refusing) for folder, found in marks.items()],
    )


def _folder(folder: Path, found: Marks, inside: Marks, refusing: Refusing) -> OutsideFolder:
    why = reasons(found.confidence, found.distance, refusing.refusal)
    refused, photos = sum(map(bool, why)), len(why)
    return OutsideFolder(
        folder=str(folder),
        images=photos,
        refused=refused / photos,
        interval=wilson(refused, photos),
        not_ours=why.count(NOT_OURS) / photos,
        by_confidence=separation(-inside.confidence, -found.confidence),
        by_distance=separation(inside.distance, found.distance),
    )


def separation(inside: Floats, outside: Floats) -> Separation:
    """How well a score, higher for photos of no class, tells (n,) from (m,); unreadable photos (NaN) are left out."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - a training starts without it

    inside = inside[~np.isnan(inside)]
    truth = np.repeat([0, 1], [len(inside), len(outside)])
    limit = np.quantile(inside, 0.95, method="inverted_cdf")
    auroc = roc_auc_score(truth, np.concatenate([inside, outside]))
    return Separation(float(auroc), float((outside <= limit).mean()))


def accuracies(confidence: Floats, hits: NDArray[np.bool_]) -> Floats:
    """Accuracy of the 1, 2, …, n surest answers (n,); 1 minus their mean is the AURC (Geifman and El-Yaniv 2017,
    arXiv 1705.08500)."""
    order = np.argsort(-np.nan_to_num(confidence), kind="stable")
    return np.asarray(np.cumsum(hits[order]) / np.arange(1, len(order) + 1))


def show(scores: Sequence[RefusalScores]) -> None:
    """Print what refusing is worth."""
    for found in scores:
        right = "" if found.accuracy is None else f", {100 * found.accuracy:.2f} % of these right"
        console.say(
            f"{found.split}: {100 * found.answered:.2f} % answered{right}; {100 * found.not_ours:.2f} % {NOT_OURS}; "
            f"AURC {found.aurc:.4f}"
        )
        rows = [
            [one.folder, str(one.images), f"{one.refused:.4f}", f"{one.interval[0]:.4f}-{one.interval[1]:.4f}"]
            + [f"{value:.4f}" for each in (one.by_distance, one.by_confidence) for value in (each.auroc, each.fpr95)]
            for one in found.outside
        ]
        names = ["AUROC distance", "FPR95", "AUROC confidence", "FPR95"]
        console.table(["outside", "photos", "refused", "95 % interval", *names], rows)
