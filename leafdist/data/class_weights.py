"""The weights of the classes in the loss."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leafdist.data.columns import tab_lines
from leafdist.data.index import Index
from leafdist.data.sampling import photos_of_classes, shown_of

SHOWN = 5  # names in a message


def class_weights(setting: str, sampling: str, index: Index) -> list[float] | None:
    """Return the weights that `optim.class_weights` asks for, by label; their mean over what an epoch shows is 1.

    None for `none`. Raises ValueError for a file that is not there, lacks a class or has a bad line.
    """
    if setting == "none":
        return None
    photos = photos_of_classes(index, f"optim.class_weights={setting}", "none")
    if setting in ("balanced", "sqrt"):
        weights = 1 / (photos if setting == "balanced" else np.sqrt(photos))
    else:
        weights = np.array(_read(Path(setting), index.classes))
    shown = shown_of(sampling, photos)
    return (weights * (len(index) / math.fsum(weights * shown))).tolist()  # type: ignore[no-any-return]


def _read(path: Path, classes: Sequence[str]) -> list[float]:
    """Read the weight of each class from a file of `class<TAB>weight` lines."""
    what = f"optim.class_weights={path}"
    found = dict[str, float]()
    for where, line in tab_lines(path, what, "none, balanced, sqrt, or a file of `class<TAB>weight` lines"):
        name, tab, value = line.rpartition("\t")
        if not tab or name not in classes:
            raise ValueError(f"{where}: {line!r} must be a class of the photos, a tab and its weight")
        if name in found:
            raise ValueError(f"{where}: {name!r} has a weight already; remove one of the two lines")
        found[name] = _number(value, where)
    if missing := [name for name in classes if name not in found]:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise ValueError(
            f"{what}: no weight for {', '.join(missing[:SHOWN])}{more}; add a line `class<TAB>weight` each"
        )
    return [found[name] for name in classes]


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{where}: {text!r} must be a number above 0; correct it")
    return value
