"""`leafdist compare`: which run is better on the same photos, how surely, and what else differs between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leafdist.compare.answers import Answers, names_of, outdated, read_all
from leafdist.compare.pair import Pair, compare_two
from leafdist.compare.significance import Ints, holm
from leafdist.config.schema import KEYS, flatten, to_dict
from leafdist.data.groups import leaves_of_paths
from leafdist.evaluation.intervals import by_leaf, numbered
from leafdist.runs.record import RunRecord
from leafdist.runs.results import Interval
from leafdist.system.plain import to_plain


@dataclass(frozen=True)
class RunFigures:
    """How well a run did, and what training it took; rates and hours over all processes."""

    path: str
    state: str
    accuracy: float
    interval: Interval
    best_val_accuracy: float | None
    epochs: int
    seconds: float
    images_per_second: float | None
    gpu_hours: float
    restarts: int

    @classmethod
    def of(cls, answers: Answers, leaves: Ints | None) -> "RunFigures":
        """Read the figures of a run that was evaluated; the interval is by leaf, where `leaves` numbers them."""
        run, evaluation = answers.run, answers.evaluation
        interval = evaluation.interval if leaves is None else by_leaf(answers.hits, leaves)
        assert interval  # `read` refuses an evaluation without
        return cls(
            path=str(run.path),
            state=run.state,
            accuracy=evaluation.accuracy,
            interval=interval,
            best_val_accuracy=run.meta.val_accuracy if run.meta else run.facts.best_val_accuracy,
            epochs=len(run.epochs),
            seconds=sum(event.seconds for event in run.epochs),
            images_per_second=run.images_per_second,
            gpu_hours=run.gpu_hours,
            restarts=run.restarts,
        )


@dataclass(frozen=True)
class Comparison:
    """Runs by name, each pair the first one and another; p-values of pairs are corrected for their number."""

    split: str
    names: list[str]
    answers: list[Answers]
    pairs: list[Pair]
    leaves: Ints | None = None

    @property
    def runs(self) -> list[RunRecord]:
        """The runs, in the order of their names."""
        return [one.run for one in self.answers]

    @property
    def images(self) -> int:
        """The number of photos that the runs are compared on."""
        return len(self.answers[0].paths)

    def figures(self) -> dict[str, RunFigures]:
        """The figures of each run, by its name."""
        return {name: RunFigures.of(one, self.leaves) for name, one in zip(self.names, self.answers, strict=True)}

    def epochs(self) -> list[list[float | None]]:
        """Val accuracy of each run after each epoch, a row per epoch; None where a run has no such epoch."""
        curves = [[event.val_accuracy for event in run.epochs] for run in self.runs]
        longest = max(map(len, curves))
        return [[curve[row] if row < len(curve) else None for curve in curves] for row in range(longest)]

    def remarks(self) -> list[str]:
        """What else a reader must know."""
        data = [run.facts.data.items() for run in self.runs]
        seen = [{name: one.digest for name, one in facts if name.split("@")[0] == "train"} for facts in data]
        other = [name for name, digest in zip(self.names, seen, strict=True) if digest != seen[0]]
        lines = [f"{name} was trained on other photos than {self.names[0]}" for name in other]
        lines += outdated(self.answers)
        views = [one.evaluation.tta for one in self.answers]
        if any(views):
            lines.append("evaluated with --tta" if all(views) else "some were evaluated with --tta and some without")
        return [*lines, "These are one checkpoint each: another seed of the same settings may come out otherwise"]

    def json(self) -> object:
        """Plain values, with the number of the photos instead of the list."""
        return {
            "split": self.split,
            "images": self.images,
            "runs": to_plain(self.figures()),
            "pairs": [to_plain(pair) | {"photos": len(pair.photos)} for pair in self.pairs],
            "settings": settings_that_differ(self.runs),
            "epochs": self.epochs(),
            "remarks": self.remarks(),
        }


def compare(runs: Sequence[Path], split: str = "test", groups: Path | None = None) -> Comparison:
    """Compare evaluated runs with the first of them; by leaf where leaf ids are given. Raises ValueError."""
    several = read_all(runs, split)
    names = names_of([one.run for one in several])
    leaves = numbered(leaves_of_paths(several[0].paths, groups)) if groups else None
    others = zip(names[1:], several[1:], strict=True)
    pairs = [compare_two((names[0], name), (several[0], other), leaves) for name, other in others]
    chances = holm([pair.p for pair in pairs])
    pairs = [replace(pair, p=p) for pair, p in zip(pairs, chances, strict=True)]
    return Comparison(split, names, several, pairs, leaves)


def settings_that_differ(runs: Sequence[RunRecord]) -> Mapping[str, Sequence[object]]:
    """Keys of the configuration that differ, with the value in each run."""
    values = [flatten(to_dict(run.config)) for run in runs]
    rows = {key: [one[key] for one in values] for key in KEYS if key != "run.name"}
    return {key: row for key, row in rows.items() if any(value != row[0] for value in row)}
