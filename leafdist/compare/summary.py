"""`leafdist summary`: folds or seeds as one result: each run, their spread, and all answers together."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leafdist.compare.answers import Answers, names_of, outdated, read
from leafdist.compare.pooled import Pooled, pool
from leafdist.data.folds import fold_numbers
from leafdist.runs.layout import BY_LEAF, FOUR_VIEWS, RunLayout, command_for
from leafdist.system.plain import to_plain

FIGURES = ("accuracy", "macro_f1", "balanced_accuracy")


@dataclass(frozen=True)
class RunScores:
    """What one run reached."""

    path: str
    photos: int
    accuracy: float
    macro_f1: float
    balanced_accuracy: float

    @classmethod
    def of(cls, answers: Answers) -> "RunScores":
        """Read the scores of a run that was evaluated."""
        found = answers.evaluation
        return cls(str(answers.run.path), found.images, found.accuracy, found.macro_f1, found.balanced_accuracy)


@dataclass(frozen=True)
class Spread:
    """A figure over the runs; deviation: the standard deviation of a sample, by n - 1."""

    mean: float
    deviation: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Describe two values or more."""
        return cls(statistics.fmean(values), statistics.stdev(values), min(values), max(values))


@dataclass(frozen=True)
class Summary:
    """Runs by name, spreads by name of the figure; case: what the runs have in common, in words."""

    split: str
    runs: dict[str, RunScores]
    spreads: dict[str, Spread]
    pooled: Pooled
    remarks: list[str]
    case: str

    def json(self) -> object:
        """Plain values."""
        return to_plain(self)


def summarise(runs: Sequence[Path], split: str = "test", groups: Path | None = None) -> Summary:
    """Summarise evaluated runs. Raises ValueError where their answers are missing or cannot be put together."""
    if len(runs) < 2:
        raise ValueError(
            f"only {', '.join(map(str, runs))} given: a summary needs two runs or more, such as 'runs/fold-*'"
        )
    several = [read(run, split) for run in check_evaluated(runs, split)]
    scores = [RunScores.of(one) for one in several]
    spreads = {name: Spread.of([getattr(one, name) for one in scores]) for name in FIGURES}
    pooled = pool(several, groups)
    case = pooled.case + ": the answers of a cross-validation" * is_crossed(several, split, pooled)
    by_name = dict(zip(names_of([one.run for one in several]), scores, strict=True))
    return Summary(split, by_name, spreads, pooled, remarks(several, split), case)


def is_own_val(split: str) -> bool:
    """Whether an evaluation is of the val split of the training, however it was judged."""
    return split.removesuffix(FOUR_VIEWS) == "val"


def is_crossed(several: Sequence[Answers], split: str, pooled: Pooled) -> bool:
    """Whether the answers are those of a cross-validation: of folds of one folder, each run on its own."""
    data = [one.run.config.data for one in several]
    folds = {one.fold for one in data} - {None}
    return is_own_val(split) and pooled.most == 1 and len(folds) == len(data) and len({one.root for one in data}) == 1


def check_evaluated(runs: Sequence[Path], split: str) -> Sequence[Path]:
    """Return `runs`. Raises ValueError naming all that have no answers, with the one command that gets them."""
    if split.endswith(BY_LEAF):
        raise ValueError(
            f"--split {split} has no answers of its own: name --split {split.removesuffix(BY_LEAF)}, and the leaf ids "
            "with --groups FILE"
        )
    missing = [run for run in runs if RunLayout(run).config.is_file() and not RunLayout(run).evaluation(split).exists()]
    if missing:
        names, way = ", ".join(map(str, missing)), command_for(split, *missing)
        raise ValueError(f"not evaluated on {split}: {names} ({len(missing)} of {len(runs)} runs). Run {way}")
    return runs


def remarks(several: Sequence[Answers], split: str) -> list[str]:
    """What else a reader must know."""
    lines = outdated(several)
    apart = sorted({one.evaluation.leaf_disjoint for one in several})
    lines += [f"leaves apart from those of training: {text}" for text in apart]
    if is_own_val(split):
        lines += ["val chose the epoch of each run, so these figures are a little too high; test is free of that"]
        lines += missing_folds(several)
    return lines


def missing_folds(several: Sequence[Answers]) -> list[str]:
    """A remark where runs are folds and the answers of some folds are not among them."""
    data = [one.run.config.data for one in several]
    used, roots = {one.fold for one in data}, {one.root for one in data}
    if None in used or len(roots) > 1:
        return []
    there = fold_numbers(Path(roots.pop())) | set(range(max(number for number in used if number is not None)))
    lacking = ", ".join(str(number) for number in sorted(there.difference(used)))
    return [f"the photos of fold {lacking} are not among these: no run has it as data.fold"] if lacking else []
