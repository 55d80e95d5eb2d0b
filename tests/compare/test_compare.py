"""Runs against each other: a planted difference is found and placed, equal runs give none, other photos are refused."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from leafdist.__main__ import main
from leafdist.compare.compare import compare
from leafdist.compare.pair import ClassDifference
from leafdist.compare.text import chosen, clock
from leafdist.config.resolve import resolve
from leafdist.config.schema import from_dict, to_dict
from leafdist.evaluation.intervals import wilson
from leafdist.runs.events import EpochEvent, StepEvent
from leafdist.system.plain import to_plain

CLASSES = ("Apple___healthy", "Apple___rust", "Corn___rust", "Grape___scab")
EACH = 100  # photos a class


def make_run(
    path: Path, wrong: Sequence[tuple[int, int]] = (), *, data: str = "a", trained: str = "t", **settings: Any
) -> Path:
    """A finished run that is right but for the (class, number) in `wrong`, as train.py and evaluate.py leave it."""
    path.mkdir(parents=True)
    config = resolve(from_dict({"model": {"name": "baseline"}, "run": {"name": path.name}, **settings}))
    (path / "config.yaml").write_text(yaml.safe_dump(to_dict(config)))
    start = {"time": "2026-01-01T00:00:00+00:00", "step": 0, "world_size": 1, "device": "cpu", "host": "here"}
    run = {
        "state": "finished",
        "starts": [start, start | {"step": 5}],
        "data": {"train": {"photos": 900, "digest": trained}},
        "best_val_accuracy": 0.005,  # of the epoch that was kept, not the highest
    }
    (path / "run.json").write_text(json.dumps(run))
    step = StepEvent(epoch=0, step=5, loss=1.0, lr=0.1, images_per_second=250.0)
    epochs = [EpochEvent(epoch, 10, 1.0, 0.5, 1.0, epoch / 100, 60.0) for epoch in range(config.train.epochs)]
    events = [{"event": "step"} | to_plain(step), *({"event": "epoch"} | to_plain(epoch) for epoch in epochs)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    rows = [(label, number, (label, number) in set(wrong)) for label in range(len(CLASSES)) for number in range(EACH)]
    correct = sum(not bad for *_, bad in rows)
    values = {"split": "test", "images": len(rows), "correct": correct, "accuracy": correct / len(rows), "data": data}
    (path / "eval-test.json").write_text(json.dumps(values | {"interval": wilson(correct, len(rows))}))
    with (path / "predictions-test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "predicted", "confidence"])
        for label, number, bad in rows:
            name, answer = f"{CLASSES[label]}/{number:03}.jpg", CLASSES[(label + bad) % len(CLASSES)]
            writer.writerow([name, CLASSES[label], answer, f"{0.5 + number / 1000:.6f}"])
    return path


def some(label: int, start: int, stop: int) -> list[tuple[int, int]]:
    return [(label, number) for number in range(start, stop)]


def test_planted_difference_is_found_by_class(tmp_path: Path) -> None:
    common = some(0, 0, 10) + some(2, 5, 20)
    first = make_run(tmp_path / "first", common + some(1, 0, 30) + some(3, 0, 3))
    second = make_run(tmp_path / "second", common + some(1, 28, 30) + some(3, 1, 5))
    (pair,) = compare([first, second]).pairs
    assert (pair.only_first, pair.only_second, pair.both, pair.neither) == (2, 29, 340, 29)
    assert pair.difference == pytest.approx(27 / 400)
    assert pair.p == pytest.approx(2 * (1 + 31 + 31 * 30 / 2) / 2**31)
    spread = 1.96 * ((31 / 400 - (27 / 400) ** 2) / 400) ** 0.5
    assert pair.interval == pytest.approx((27 / 400 - spread, 27 / 400 + spread), abs=0.004)
    p = 4 * 2 / 2**28  # Holm: the smallest of four
    assert pair.telling == [ClassDifference("Apple___rust", 100, 0.7, 0.98, 0, 28, p)]
    assert [(photo.path, photo.wrong) for photo in pair.photos[:2]] == [
        ("Apple___rust/027.jpg", "first"),  # the surest mistake
        ("Apple___rust/026.jpg", "first"),
    ]


def test_equal_runs_give_no_difference(tmp_path: Path) -> None:
    wrong = some(0, 0, 10)
    (pair,) = compare([make_run(tmp_path / "a", wrong), make_run(tmp_path / "b", wrong)]).pairs
    assert (pair.difference, pair.interval, pair.p, pair.telling, pair.photos) == (0, (0, 0), 1, [], [])


def test_random_errors_rarely_differ_beyond_chance(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    everything = [(label, number) for label in range(4) for number in range(EACH)]
    paths = []
    for number in range(12):
        chosen_ones = random.choice(len(everything), 60, replace=False)
        paths.append(make_run(tmp_path / str(number), [everything[place] for place in chosen_ones]))
    comparison = compare(paths)
    assert [pair.second for pair in comparison.pairs if pair.p < 0.05] == []


def test_several_runs_get_holms_correction(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, some(0, 0, count)) for name, count in (("a", 0), ("b", 6), ("c", 9))]
    pairs = compare(runs).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c")]
    assert [pair.p for pair in pairs] == pytest.approx([2 / 2**6, 2 * 2 / 2**9])


def test_leaf_ids_make_leaves_the_unit(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", some(0, 0, 8)), make_run(tmp_path / "b")]
    lines = [f"{CLASSES[0]}\t{number:03}\tleaf{number // 4}" for number in range(EACH)]
    groups = tmp_path / "ids.tsv"
    groups.write_text("\n".join(["class\tstem\tleaf_id", *lines]))
    by_photo, by_leaf = compare(runs).pairs[0], compare(runs, groups=groups).pairs[0]
    assert (by_photo.p, by_leaf.p) == pytest.approx((2 / 2**8, 2 / 2**2))
    assert by_leaf.unit == "leaf"
    assert by_leaf.interval[0] < by_photo.interval[0]
    assert by_leaf.classes[0].p == 1  # 2 of 4 classes by 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "b"}, "evaluated on different photos (400 and 400 photos, digests a and b): a paired comparison"),
        ("rename", "different photos"),
        ("remove", "has no eval-test.json; evaluated so far: nothing; run python evaluate.py"),
        ("same", "is given twice: name each run once"),
        ("old", "has no interval"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    change: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_run(tmp_path / "a")
    second = make_run(tmp_path / "b", **(change if isinstance(change, dict) else {}))
    predictions, evaluation = second / "predictions-test.csv", second / "eval-test.json"
    if change == "rename":
        predictions.write_text(predictions.read_text().replace("/007.jpg", "/7.jpg"))
    if change == "remove":
        evaluation.unlink()
    if change == "old":
        evaluation.write_text(json.dumps({"split": "test", "accuracy": 1, "images": 400, "data": "a"}))
    assert main(["compare", str(first), str(first if change == "same" else second)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_one_run_alone_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(make_run(tmp_path / "a"))]) == 2
    assert "a comparison needs two runs or more" in capsys.readouterr().err


def test_everything_that_differs_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = make_run(tmp_path / "slow", some(1, 0, 30), train={"epochs": 2})
    second = make_run(tmp_path / "fast", trained="other", train={"epochs": 3}, optim={"lr": 0.01})
    assert main(["compare", str(first), str(second)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "slow 92.50 % 89.50 % to 94.70 % 0.50 % 2 0:02:00 250 0.00 1",
        "fast against slow: +7.50 points, beyond chance",
        "only fast right: 30; only slow right: 0; both: 370; neither: 0",
        "Apple___rust 100 70.00 % 100.00 % +30.0 p < 0.0001",
        "Apple___rust/029.jpg Corn___rust 0.529",
        "optim.lr 0.001 0.01",
        "3 - 2.00 %",
        "note: fast was trained on other photos than slow",
    ):
        assert line in lines


def test_same_photos_compare_under_other_names(tmp_path: Path) -> None:
    """One run's own test split is `test@FOLDER` to a run that was split from other photos."""
    first, second = make_run(tmp_path / "a", some(1, 0, 30)), make_run(tmp_path / "b")
    for name in ("eval-test.json", "predictions-test.csv"):
        (second / name).rename(second / name.replace("test", "test@leaf256"))
    assert make_run(second / "other", data="b")
    for name in ("eval-test.json", "predictions-test.csv"):
        shutil.copy(second / "other" / name, second)
    (pair,) = compare([first, second]).pairs
    assert (pair.only_first, pair.only_second) == (0, 30)
    assert compare([second, first]).pairs[0].only_first == 30
    assert compare([first, second], "test@leaf256").pairs[0].only_second == 30
    assert compare([second, first], "test@leaf256").pairs[0].only_first == 30


def test_json_and_csv_hold_everything(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", some(1, 0, 30)), make_run(tmp_path / "b", some(2, 0, 5))]
    listing, figures = tmp_path / "photos.csv", tmp_path / "figures.json"
    assert main(["compare", *map(str, runs), "--csv", str(listing), "--json", str(figures)]) == 0
    with listing.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 35
    assert rows[0] == {
        "path": "Apple___rust/000.jpg",
        "label": "Apple___rust",
        "right": "b",
        "wrong": "a",
        "predicted": "Corn___rust",
        "confidence": "0.5",
        "right_confidence": "0.5",
    }
    values = json.loads(figures.read_text())
    assert values["runs"]["a"]["accuracy"] == 370 / 400
    assert values["pairs"][0]["difference"] == 25 / 400
    assert values["pairs"][0]["photos"] == 35
    assert [row["name"] for row in values["pairs"][0]["classes"]] == list(CLASSES)


def test_runs_of_one_name_show_folders(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / place / "run") for place in ("here", "there")]
    assert compare(runs).names == [str(run) for run in runs]


def test_long_curves_show_first_and_last() -> None:
    assert chosen(3) == [0, 1, 2]
    assert (chosen(300)[0], chosen(300)[-1], len(chosen(300))) == (0, 299, 20)
    assert clock(3725.4) == "1:02:05"
