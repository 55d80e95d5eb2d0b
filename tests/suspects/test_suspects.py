"""Labels that are wrong, found in the answers of runs that never trained on the photos."""

import re
import runpy
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from leafdist.__main__ import main
from leafdist.config.schema import DataConfig
from leafdist.data.index import scan
from leafdist.data.labels import NAME, read_labels
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.tables import write_probabilities
from leafdist.suspects.out_of_fold import pool
from leafdist.suspects.suspects import Suspect, find, write
from leafdist.system import files
from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES, draw
from tests.helpers.run_folders import make_run

EACH = 20  # photos a class


def answered(run: Path, root: Path, names: Iterable[str], labels: NDArray[np.int64], true: NDArray[np.int64]) -> Path:
    """With the files of an evaluation on val in which the network knows what is `true`, more or less."""
    random = np.random.default_rng(len(labels))
    logits = random.normal(0, 0.5, (len(labels), len(CLASSES)))
    logits[np.arange(len(labels)), true] += 4
    answers = Predictions(labels, logits.argmax(1), np.zeros(len(labels)), np.ones(len(labels)), logits)
    write_probabilities(run / "probabilities-val.csv", list(names), CLASSES, answers)
    values = {"split": "val", "images": len(labels), "correct": 0, "accuracy": 0.0, "root": str(root)}
    files.write_json(run / "eval-val.json", values)
    return run


@pytest.fixture
def folds(tmp_path: Path) -> list[Path]:
    """Two runs on the halves of the photos; 3 and 25 have the label of the next class."""
    names = [f"{name}/{number:03}.png" for name in CLASSES for number in range(EACH)]
    labels = np.repeat(np.arange(3), EACH)
    true = labels.copy()
    true[[3, 25]] += 1
    draw(tmp_path / "photos", {"val": EACH}, 16)
    runs = []
    for half in range(2):
        run = make_run(tmp_path / "runs", f"fold-{half}", data=DataConfig(root=str(tmp_path / "photos")))
        part = slice(half, None, 2)
        runs.append(answered(run, tmp_path / "photos", names[part], labels[part], true[part]))
    return runs


WRONG = {f"{CLASSES[0]}/003.png": CLASSES[1], f"{CLASSES[1]}/005.png": CLASSES[2]}


def test_planted_errors_come_first(folds: list[Path]) -> None:
    answers = pool(folds)
    assert (len(answers.paths), answers.runs) == (3 * EACH, 2)
    found = find(answers)
    assert {one.path: one.suggested for one in found[:2]} == WRONG
    assert [one.quality for one in found] == sorted(one.quality for one in found)
    assert found[0].given == found[0].path.partition("/")[0]
    assert found[0].file.is_file()


def test_command_writes_labels_and_page(folds: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    out, html = folds[0].parent / NAME, folds[0].parent / "suspects.html"
    command = ["suspects", str(folds[0].parent / "fold-*"), "--out", str(out)]
    assert main([*command, "--html", str(html), "--top", "1"]) == 0
    said = capsys.readouterr().out
    assert re.match(r"60 photos of 2 runs: \d+ labels look wrong", said)
    assert len(said.splitlines()) == 3
    rows = read_labels(out)
    assert {row.photo for row in rows[:2]} == set(WRONG)
    assert {row.action for row in rows} == {"keep"}
    head, *lines = out.read_text().splitlines()
    assert head == "path\taction\tclass\tcomment"
    line = next(line for line in lines if line.startswith(f"{CLASSES[0]}/003.png\t"))
    said_of_it = f"keep\t{CLASSES[1]}\tgiven {CLASSES[0]}, suggested {CLASSES[1]}, quality 0."
    assert line.partition("\t")[2].startswith(said_of_it)
    text = html.read_text()
    assert text.count("<img") == len(rows)
    places = [text.index(f"<br>{row.photo}<") for row in rows]
    assert places == sorted(places), "the worst first"
    assert main(command) == 2
    assert "may hold decisions" in capsys.readouterr().err


def test_moved_photos_stay_moved(tmp_path: Path) -> None:
    found = [Suspect(path, "b", "c", 0.1, tmp_path) for path in ("a/1\r2.jpg", "b/3.jpg")]
    write(tmp_path / NAME, found)
    rows = read_labels(tmp_path / NAME)
    assert [(row.photo, row.action, row.target) for row in rows] == [
        ("a/1\r2.jpg", "move", "b"),
        ("b/3.jpg", "keep", ""),
    ]
    assert b"\r\n" not in (tmp_path / NAME).read_bytes()


def test_filled_labels_change_the_split(folds: list[Path], tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", {"train": 2}, 16)
    before = scan(root, "val")
    assert main(["suspects", *map(str, folds), "--out", str(root / NAME)]) == 0
    assert scan(root, "val").digest == before.digest, "all are kept until a person says otherwise"
    text = (root / NAME).read_text()
    path = f"{CLASSES[0]}/003.png"
    (root / NAME).write_text(text.replace(f"{path}\tkeep", f"{path}\tmove"))
    index = scan(root, "val")
    assert index.classes[index.labels[list(index.names).index(path)]] == CLASSES[1]


def test_answers_of_several_runs_are_averaged(folds: list[Path], tmp_path: Path) -> None:
    other = make_run(tmp_path / "more", "other")
    names, labels = ["x/1.png", "x/2.png"], np.array([0, 1])
    for run in (folds[0], other):
        answered(run, tmp_path, names, labels, labels if run == other else 2 - labels)
    both = pool([folds[0], other])
    alone = [pool([run]).probabilities for run in (folds[0], other)]
    assert both.paths == names
    assert both.probabilities == pytest.approx(np.mean(alone, axis=0))


def test_one_name_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, label = [make_run(tmp_path / "runs", name) for name in "ab"], np.array([0])
    cases = ("other/fold-1", "data", None), ("data/fold-1", "checkpoint", "earlier"), ("other", "data", "same")
    for root, key, value in cases:
        for run, folder in zip(runs, ("data/fold-0", root), strict=True):
            answered(run, tmp_path / folder, ["x/1.png"], label, label)
            files.write_json(run / "eval-val.json", files.read_json(run / "eval-val.json") | {key: value})
        if value:
            assert pool(runs).paths == ["x/1.png"]
            continue
        with pytest.raises(ValueError, match=r"x/1\.png lies in .*fold-0/val and, for .*b, in .*other/fold-1/val: two"):
            pool(runs)
    assert "the answers of " in capsys.readouterr().err


def test_answers_that_disagree_are_refused(folds: list[Path], tmp_path: Path) -> None:
    bare = make_run(tmp_path / "runs", "bare")
    with pytest.raises(ValueError, match=r"bare is not evaluated on val: run python evaluate\.py .*bare --split val"):
        pool([*folds, bare])
    answered(bare, tmp_path, [f"{CLASSES[0]}/000.png"], np.array([2]), np.array([2]))
    with pytest.raises(ValueError, match=r"000\.png is Apple___healthy in one run and Grape___blight \(leaf\) in"):
        pool([*folds, bare])
    table = bare / "probabilities-val.csv"
    table.write_text(table.read_text().replace(CLASSES[1], "Rose___rust"))
    with pytest.raises(ValueError, match="bare has other classes than"):
        pool([*folds, bare])
    table.write_text(f"path,label,a,b\n{CLASSES[0]}/000.png,a,,\n")
    with pytest.raises(ValueError, match="no photo of val could be read"):
        pool([bare])


def test_missing_cleanlab_says_how_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("leafdist.suspects.cli.find_spec", lambda _: None)
    assert main(["suspects", "runs/any"]) == 2
    assert re.search(r"cleanlab, .* is not installed: pip install -e .*\[suspects\]", capsys.readouterr().err)


def test_benchmark_plants_and_scores(folds: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = runpy.run_path(str(REPO / "benchmarks" / "label_errors.py"))
    planted = benchmark["plant"](tmp_path / "photos" / "val", tmp_path / "new", 0.1, 0)
    rows = [line.split("\t") for line in (tmp_path / "new.tsv").read_text().splitlines()[1:]]
    assert planted == len(rows) == 6
    assert sum(1 for _ in (tmp_path / "new").rglob("*.png")) == 3 * EACH
    for path, true in rows:
        file = tmp_path / "new" / path
        assert true != path.partition("/")[0]
        assert file.samefile(tmp_path / "photos" / "val" / true / file.name.rpartition("__")[2])
    known = tmp_path / "known.tsv"
    known.write_text("path\ttrue\n" + "".join(f"{path}\t{true}\n" for path, true in WRONG.items()) + "x/y.png\tz\n")
    scores = benchmark["score"](known, list(map(str, folds)))
    assert (2, 1.0, 1.0, 1.0) in scores, "a photo that no run answered does not count"
    assert "planted among them: 2" in capsys.readouterr().out
