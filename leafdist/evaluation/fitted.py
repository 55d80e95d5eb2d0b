"""What is fitted on val once for each checkpoint: the temperature, and when an answer is refused."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import nn

from leafdist.data.open import has_split, open_loaders
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import calibration, outside, refusal
from leafdist.evaluation.judging import judge
from leafdist.models.before_head import WithMore
from leafdist.runs.evaluations import Refusing, Subspace, read_calibration, read_refusing, write_calibration
from leafdist.runs.load import LoadedRun
from leafdist.runs.results import Calibration
from leafdist.system import console

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def calibrated(
    loaded: LoadedRun, to: Path, runtime: Runtime, sure: float | None, *, own: bool
) -> tuple[Calibration | None, Subspace | None]:
    """The checkpoint's calibration, fitted on val if it is missing or of another `sure`; None if val is gone.

    With the subspace if it was fitted now. Raises ValueError where `sure` cannot be fitted.
    """
    run, data, checkpoint = loaded.path, loaded.config.data, loaded.meta.sha256
    fitted = runtime.once(lambda: read_calibration(to, checkpoint)[0] or read_calibration(run, checkpoint)[0])
    if fitted and fitted.refusal and sure in (None, fitted.refusal.wanted):
        return fitted, None
    if not own or not has_split(data, "val", runtime):
        if sure:
            way = "Evaluate where they are, or leave --sure out"
            raise ValueError(f"--sure {sure:g}: it is fitted on the run's val photos, which are not at hand. {way}")
        return fitted, None
    loader = open_loaders(data, ("val",), runtime, loaded.classes)["val"]
    head = loaded.model.get_submodule(loaded.network.head)
    assert isinstance(head, nn.Linear)
    model = WithMore(loaded.model, loaded.network.head, nn.Identity(), head.in_features).eval()
    predictions = judge(loaded, loader, runtime, model=model, most=refusal.MOST)
    model.before.hook.remove()
    features = predictions.more
    readable = replace(predictions, more=None).only(predictions.predicted >= 0)

    def fit() -> tuple[Calibration, Subspace]:
        assert features is not None
        cooled = calibration.fit(readable.kept_logits, readable.labels, "val", checkpoint)
        confidence = outside.confidence_of(readable.kept_logits, cooled.temperature)
        when, subspace = refusal.fit(features, readable.labels, confidence, readable.hits, sure)
        both = replace(cooled, refusal=when), subspace
        unless_read_only(to, lambda: write_calibration(to, *both))
        console.say(refusal.in_words(when, run))
        return both

    return runtime.once(fit)


def refusing_of(loaded: LoadedRun, to: Path, fitted: Calibration | None, subspace: Subspace | None) -> Refusing:
    """What refusing takes, fitted now or read. Raises ValueError where the run has none."""
    if fitted and fitted.refusal and subspace:
        return Refusing(fitted.temperature, fitted.refusal, subspace)
    checkpoint = loaded.meta.sha256
    return read_refusing(to if read_calibration(to, checkpoint)[0] else loaded.path, checkpoint)


def unless_read_only(folder: Path, write: Callable[[], None]) -> bool:
    """Write; warn and return False where the folder may only be read."""
    try:
        write()
        return True  # noqa: TRY300
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        console.warn(f"not written: {folder} may only be read ({error.strerror}). --to FOLDER takes the files")
        return False
