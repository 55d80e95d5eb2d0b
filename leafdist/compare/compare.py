"""`leafdist compare`: which run is better on the same photos, how surely, and what else differs between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from leafdist.compare.answers import Answers, names_of, read_all
from leafdist.compare.pair import Pair, compare_two
from leafdist.compare.significance import Ints, holm
from leafdist.config.schema import KEYS, flatten, to_dict
from leafdist.data.groups import leaves_of_paths
from leafdist.runs.record import RunRecord


@dataclass(frozen=True)
class Comparison:
    """Of runs by name, each pair the first one and another; p-values of pairs are corrected for their number."""

    split: str
    names: list[str]
    answers: list[Answers]
    pairs: list[Pair]

    @property
    def runs(self) -> list[RunRecord]:
        return [one.run for one in self.answers]

    @property
    def images(self) -> int:
        return len(self.answers[0].paths)

    def settings(self) -> dict[str, list[Any]]:
        """Keys of the configuration that differ, with the value in each run."""
        values = [flatten(to_dict(run.config)) for run in self.runs]
        rows = {key: [one[key] for one in values] for key in KEYS if key != "run.name"}
        return {key: row for key, row in rows.items() if any(value != row[0] for value in row)}

    def epochs(self) -> list[list[float | None]]:
        """Val accuracy of each run after each epoch, a row an epoch; None where a run has no such epoch."""
        curves = [[epoch["val_accuracy"] for epoch in run.epochs] for run in self.runs]
        longest = max(map(len, curves))
        return [[curve[row] if row < len(curve) else None for curve in curves] for row in range(longest)]

    def remarks(self) -> list[str]:
        """What else a reader must know."""
        seen = [run.run.get("data", {}).get("train", {}).get("digest") for run in self.runs]
        other = [name for name, digest in zip(self.names, seen, strict=True) if digest != seen[0]]
        lines = [f"{name} was trained on other photos than {self.names[0]}" for name in other]
        for one in self.answers:
            best = (one.run.meta or {}).get("sha256")
            if one.evaluation.get("checkpoint", best) != best:
                lines.append(f"the answers of {one.run.path} are of an earlier checkpoint: run evaluate.py again")
        views = [bool(one.evaluation.get("tta")) for one in self.answers]
        if any(views):
            lines.append("evaluated with --tta" if all(views) else "some were evaluated with --tta and some without")
        return [*lines, "These are one checkpoint each: another seed of the same settings may come out otherwise"]

    def json(self) -> dict[str, Any]:
        """Plain values, without the photos."""
        return {
            "split": self.split,
            "images": self.images,
            "runs": {name: facts(one) for name, one in zip(self.names, self.answers, strict=True)},
            "pairs": [pair.json() for pair in self.pairs],
            "settings": self.settings(),
            "epochs": self.epochs(),
            "remarks": self.remarks(),
        }


def compare(runs: Sequence[Path], split: str = "test", groups: Path | None = None) -> Comparison:
    """Runs that evaluate.py has seen, all but the first against the first; with leaf ids by leaf. Raises ValueError."""
    several = read_all(runs, split)
    names = names_of(several)
    leaves = leaf_numbers(several[0].paths, groups) if groups else None
    pairs = [
        compare_two((names[0], name), (several[0], other), leaves)
        for name, other in zip(names[1:], several[1:], strict=True)
    ]
    chances = holm([pair.p for pair in pairs])
    pairs = [replace(pair, p=p) for pair, p in zip(pairs, chances, strict=True)]
    return Comparison(split, names, several, pairs)


def leaf_numbers(paths: Sequence[str], groups: Path) -> Ints:
    """A number for the leaf of each photo. Raises ValueError."""
    leaves = leaves_of_paths(paths, groups)
    numbers = {leaf: number for number, leaf in enumerate(dict.fromkeys(leaves))}
    return np.array([numbers[leaf] for leaf in leaves], np.int64)


def facts(answers: Answers) -> dict[str, Any]:
    """How well a run did, and what training it took."""
    run, evaluation = answers.run, answers.evaluation
    return {
        "path": str(run.path),
        "state": run.state,
        "accuracy": evaluation["accuracy"],
        "interval": evaluation.get("interval_by_leaf") or evaluation["interval"],
        "best_val_accuracy": max((epoch["val_accuracy"] for epoch in run.epochs), default=None),
        "epochs": len(run.epochs),
        "seconds": sum(epoch["seconds"] for epoch in run.epochs),
        "images_per_second": run.images_per_second,
        "gpu_hours": run.gpu_hours,
        "restarts": run.restarts,
    }
