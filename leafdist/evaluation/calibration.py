"""Whether a confidence of 0.9 is right nine times in ten, and the temperature that makes it so."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from leafdist.system import files

BINS = 15  # of equal width, as in Guo et al. 2017
RANGE = (0.05, 20.0)  # of temperatures
Logits = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """`calibration.json`: one temperature for one checkpoint, and what it does to the loss of the photos it is from."""

    temperature: float
    split: str
    images: int
    loss: float
    loss_calibrated: float
    checkpoint: str

    def save(self, run: Path) -> None:
        files.write_json(run / "calibration.json", asdict(self))


def find(run: Path, checkpoint: str | None) -> tuple[Calibration | None, str]:
    """What calibration.json says of this checkpoint, and an empty text; else None and why there is none.

    Raises ValueError where the file is damaged.
    """
    path = run / "calibration.json"
    if not path.exists():
        return None, f"not calibrated: {path} is missing; python evaluate.py {run} --split val writes it"
    try:
        found = Calibration(**files.read_object(path, temperature=float, checkpoint=str))
    except TypeError as error:
        raise ValueError(f"{path} is damaged ({error}). Remove it: evaluate.py makes it anew") from error
    if found.checkpoint != checkpoint:
        return None, f"not calibrated: {path} is of another checkpoint; evaluate this one again"
    return found, ""


def fit(logits: Logits, labels: Labels, split: str, checkpoint: str) -> Calibration:
    """Temperature scaling (Guo et al. 2017, arXiv 1706.04599): the one number that logits are divided by for the least
    cross-entropy. logits (n,C), labels (n,)."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - a training starts without it

    found = minimize_scalar(
        lambda log: cross_entropy(logits / np.exp(log), labels),
        bounds=tuple(np.log(RANGE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(found.x))
    before, after = cross_entropy(logits, labels), cross_entropy(logits / temperature, labels)
    return Calibration(temperature, split, len(labels), before, after, checkpoint)


def cross_entropy(logits: Logits, labels: Labels) -> float:
    """Mean over the photos, in nats."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def reliability(logits: Logits, labels: Labels) -> tuple[float, list[dict[str, Any]]]:
    """Expected calibration error (0 to 1), and the bins it is from: accuracy against mean confidence, empty ones left
    out (Naeini et al. 2015, doi 10.1609/aaai.v29i1.9602)."""
    return binned(np.exp(log_softmax(logits, axis=1).max(1)), logits.argmax(1) == labels)


def binned(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> tuple[float, list[dict[str, Any]]]:
    """As `reliability`, from the confidence of each answer and whether it was right."""
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = []
    for place in np.unique(places):
        some = places == place
        row = {"low": place / BINS, "high": (place + 1) / BINS, "images": int(some.sum())}
        bins.append(row | {"confidence": float(confidence[some].mean()), "accuracy": float(hits[some].mean())})
    gaps = (row["images"] * abs(row["confidence"] - row["accuracy"]) for row in bins)
    return sum(gaps) / len(hits), bins


def report(logits: Logits, labels: Labels, calibration: Calibration | None) -> dict[str, Any]:
    """`calibration` of `eval-<split>.json`; photos that could not be read (NaN) say nothing and are left out."""
    readable = ~np.isnan(logits[:, 0])
    logits, labels = logits[readable], labels[readable]
    ece, bins = reliability(logits, labels)
    found = {"ece": ece, "loss": cross_entropy(logits, labels), "bins": bins}
    if not calibration:
        return {"temperature": None, "fitted_on": None, **found}
    cooled = logits / calibration.temperature
    ece, bins = reliability(cooled, labels)
    after = {"ece_calibrated": ece, "loss_calibrated": cross_entropy(cooled, labels), "bins_calibrated": bins}
    return {"temperature": calibration.temperature, "fitted_on": calibration.split, **found, **after}
