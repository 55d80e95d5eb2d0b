"""Folds and seeds as one result: figures against scikit-learn, photos counted once, runs that do not fit each other."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from sklearn import metrics

from leafdist.__main__ import main
from leafdist.compare.summary import summarise
from leafdist.config.resolve import resolve
from leafdist.config.schema import from_dict, to_dict
from leafdist.evaluation.intervals import by_leaf, numbered, wilson
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import summarize
from leafdist.evaluation.tables import write_predictions
from leafdist.runs.evaluations import write_evaluation
from leafdist.runs.named import named_runs
from leafdist.system import files

CLASSES = ("Apple___healthy", "Apple___rust", "Corn___rust")
Ints = NDArray[np.int64]


def answered(run: Path, rows: Sequence[int], seed: int, *, split: str = "val", fold: int | None = None) -> Path:
    """A run that answered the photos `rows`, a quarter of them at random, one not at all; evaluated again it adds."""
    values = {"model": {"name": "baseline"}, "run": {"name": run.name}, "data": {"root": str(run.parent), "fold": fold}}
    files.write_text(run / "config.yaml", yaml.safe_dump(to_dict(resolve(from_dict(values)))))
    files.write_json(run / "run.json", {"state": "finished", "starts": []})
    random, labels = np.random.default_rng(seed), np.array(rows) % len(CLASSES)
    predicted = np.where(random.random(len(rows)) < 0.25, random.integers(0, 3, len(rows)), labels)
    predicted[-1] = -1
    filler = np.ones(len(rows))
    answers = Predictions(labels, predicted, filler, filler, np.zeros((len(rows), 3)))
    names = [f"{CLASSES[row % 3]}/{row:04}.jpg" for row in rows]
    write_predictions(run / f"predictions-{split}.csv", names, CLASSES, answers)
    found = replace(summarize(answers, split, CLASSES, None), data=f"{rows[0]}-{len(rows)}")
    write_evaluation(run, split, found)
    return run


def folds(folder: Path, count: int = 4) -> list[Path]:
    return [answered(folder / f"fold-{k}", range(k, 300, count), k, fold=k) for k in range(count)]


def seeds(folder: Path) -> list[Path]:
    return [answered(folder / f"seed-{seed}", range(90), seed, split="test") for seed in range(3)]


def table(runs: Sequence[Path], split: str) -> tuple[list[str], Ints, Ints]:
    """Names, labels and answers of all runs, read without the code under test."""
    lines = [line for run in runs for line in (run / f"predictions-{split}.csv").read_text().splitlines()[1:]]
    rows = [line.split(",") for line in lines]
    numbers = {name: label for label, name in enumerate(CLASSES)} | {"": -1}
    labels, predicted = (np.array([numbers[row[column]] for row in rows]) for column in (1, 2))
    return [row[0] for row in rows], labels, predicted


def test_pooled_folds_equal_scikit_learn(tmp_path: Path) -> None:
    runs = folds(tmp_path)
    summary, (_, labels, predicted) = summarise(runs, "val"), table(runs, "val")
    pooled, known = summary.pooled, {"labels": range(3), "zero_division": 0}
    assert pooled.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert pooled.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro", **known))
    recall = metrics.recall_score(labels, predicted, average="macro", **known)
    assert pooled.balanced_accuracy == pytest.approx(recall)
    each = metrics.precision_recall_fscore_support(labels, predicted, **known)
    rows = [(row.precision, row.recall, row.f1, row.images) for row in pooled.classes.values()]
    assert rows == [pytest.approx(row) for row in zip(*each, strict=True)]
    assert (pooled.answers, pooled.photos, pooled.by_photo.accuracy) == (300, 300, wilson(pooled.correct, 300))
    own = [np.mean(np.equal(*table([run], "val")[1:])) for run in runs]
    spread = summary.spreads["accuracy"]
    expected = np.mean(own), np.std(own, ddof=1), min(own), max(own)
    assert (spread.mean, spread.deviation, spread.lowest, spread.highest) == pytest.approx(expected)
    assert [one.accuracy for one in summary.runs.values()] == pytest.approx(own)


def test_photo_of_three_seeds_counts_once(tmp_path: Path) -> None:
    runs = seeds(tmp_path)
    pooled, (names, labels, predicted) = summarise(runs).pooled, table(runs, "test")
    assert (pooled.answers, pooled.photos) == (270, 90)
    assert pooled.by_photo.accuracy == by_leaf(labels == predicted, numbered(names))
    assert "answered 3 times, and counts once" in pooled.case
    same = [answered(tmp_path / f"same-{copy}", range(90), 0, split="test") for copy in range(3)]
    again = summarise(same).pooled  # nothing is learned from the same answers
    assert again.by_photo.accuracy == pytest.approx(wilson(again.correct // 3, 90), abs=0.02)


def test_leaf_ids_give_evaluates_interval(tmp_path: Path) -> None:
    runs = folds(tmp_path)
    lines = [f"{CLASSES[row % 3]}\t{row:04}\tleaf{row // 6}" for row in range(300)]
    groups = tmp_path / "ids.tsv"
    groups.write_text("\n".join(["class\tstem\tleaf_id", *lines]))
    pooled, (names, labels, predicted) = summarise(runs, "val", groups).pooled, table(runs, "val")
    leaves = [(name.split("/")[0], f"leaf{int(name.split('/')[1][:4]) // 6}") for name in names]
    assert pooled.by_leaf
    assert (pooled.leaves, pooled.by_leaf.accuracy) == (150, by_leaf(labels == predicted, numbered(leaves)))
    generator, groups_of = np.random.default_rng(0), sorted(set(leaves), key=repr)
    rows = {leaf: [row for row, other in enumerate(leaves) if other == leaf] for leaf in groups_of}
    scores = []
    for _ in range(300):
        drawn = [row for pick in generator.integers(0, 150, 150) for row in rows[groups_of[pick]]]
        scores.append(metrics.f1_score(labels[drawn], predicted[drawn], labels=range(3), average="macro"))
    assert pooled.by_leaf.macro_f1 == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.01)


def rewrite(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text((run / name).read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda run: (run / "eval-test.json").unlink(),
            "not evaluated on test: {1} (1 of 3 runs). Run python evaluate.py {1}",
        ),
        (rewrite("eval-test.json", '"Corn___rust": {', '"Corn___rot": {'), "have other classes ({0} lacks Corn___rot"),
        (rewrite("predictions-test.csv", ",Apple___healthy,", ",Corn___rust,"), "contradict each other"),
        (rewrite("eval-test.json", '"0-90"', '"other"'), "{0} and {1}: 90 photos of one name"),
        (rewrite("predictions-test.csv", "/0000.jpg", "/000.jpg"), "names or labels differ under one digest"),
    ],
)
def test_runs_apart_are_refused(
    change: Callable[[Path], object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(run) for run in seeds(tmp_path)]
    change(Path(runs[1]))
    assert main(["summary", *runs]) == 2
    error = capsys.readouterr().err
    assert message.format(*runs) in error
    assert error.count("\n") == 1


def test_other_val_is_no_cross_validation(tmp_path: Path) -> None:
    chosen, crossed = "val chose the epoch", "cross-validation"
    for split, expected in (("val", True), ("val+tta", True), ("val@field", False)):
        for k in range(2):
            answered(tmp_path / f"fold-{k}", range(k, 60, 2), k, split=split, fold=k)
        summary = summarise([tmp_path / f"fold-{k}" for k in range(2)], split)
        assert (crossed in summary.case, chosen in " ".join(summary.remarks)) == (expected, expected), split
    apart = [answered(tmp_path / f"split-{k}", range(k, 60, 2), k) for k in range(2)]
    assert crossed not in summarise(apart, "val").case
    with pytest.raises(ValueError, match=r"name --split val, and the leaf ids with --groups"):
        summarise(apart, "val+leaves")


def test_patterns_take_digits_of_any_script(tmp_path: Path) -> None:
    names = ["2", "10", "a", "\u0663"]
    for name in names:
        files.write_text(tmp_path / name / "config.yaml", "")
    assert [run.name for run in named_runs([str(tmp_path / "*")])] == names


@pytest.mark.parametrize(("names", "message"), [(["none-*"], "matches no run folder"), (["a"], "needs two runs")])
def test_patterns_without_runs_are_refused(
    names: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(tmp_path / "a", range(30), 0)
    assert main(["summary", *(str(tmp_path / name) for name in names)]) == 2
    assert message in capsys.readouterr().err


def test_pattern_prints_and_writes_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = folds(tmp_path / "runs", 11)
    (tmp_path / "runs" / "fold-11").mkdir()  # its data, not a run
    written = ["--html", str(tmp_path / "page.html"), "--json", str(tmp_path / "figures.json")]
    assert main(["summary", str(tmp_path / "runs" / "fold-*"), "--split", "val", *written]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    pooled = summarise(runs, "val").pooled
    assert [line.split()[0] for line in lines if line.startswith("fold-")] == [run.name for run in runs]
    for line in (
        "accuracy {:.2f} % {:.2f} % to {:.2f} %".format(
            *(100 * v for v in (pooled.accuracy, *pooled.by_photo.accuracy))
        ),
        "no photo in common: each of 300 photos is answered once, by one run (accuracy: Wilson's interval): "
        "the answers of a cross-validation",
        "note: the photos of fold 11 are not among these: no run has it as data.fold",
    ):
        assert line in lines
    values, text = json.loads((tmp_path / "figures.json").read_text()), (tmp_path / "page.html").read_text()
    assert values["pooled"]["macro_f1"] == pooled.macro_f1
    assert list(values["runs"]) == [run.name for run in runs]
    assert f'<data value="{pooled.accuracy}" data-key="accuracy">' in text
    assert "http" not in text.replace("http-equiv", "")
