"""report.html: what it says is what the run folder says, whatever is missing there, and it stands alone."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from leafdist.__main__ import main
from leafdist.compare.compare import compare
from leafdist.report import write as report
from leafdist.report.contents import Contents
from leafdist.report.two_runs import calibrated
from leafdist.runs.checkpoint import load_best, save_best
from tests.helpers.drawn_run import draw_run
from tests.helpers.report_text import CLASSES, text_of


class Figures(HTMLParser):
    """`<data key value>` of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, float] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "data" and values.get("data-key"):
            self.found[str(values["data-key"])] = float(values["value"] or "nan")


def test_headline_figures_match_the_evaluation(run: Path) -> None:
    result = json.loads((run / "eval-test.json").read_text())
    meta = json.loads((run / "best" / "meta.json").read_text())
    assert Figures(text_of(run)).found == {
        "accuracy": result["accuracy"],
        "macro_f1": result["macro_f1"],
        "ece_calibrated": result["calibration"]["ece_calibrated"],
        "healthy": result["healthy"]["accuracy"],
        "val_accuracy": meta["val_accuracy"],
    }


def test_kept_epoch_is_marked(run: Path) -> None:
    tensors, meta = load_best(run)
    save_best(run / "best", tensors, replace(meta, epoch=2))
    text = text_of(run)
    assert text.count("val: the best epoch, 3, whose weights are kept") == 2, "on loss and accuracy"
    assert text.count("epoch 3 is kept") == 2
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    third = next(event for event in events if event["event"] == "epoch" and event["epoch"] == 2)
    assert f"val {100 * third['val_accuracy']:.1f}\u202f% at epoch 3, kept" in text


def test_the_page_needs_nothing_else(run: Path) -> None:
    text = text_of(run)
    assert "default-src 'none'" in text
    assert re.findall(r'(?:src|href)="(?!data:|#)', text) == []
    assert re.findall(r"url\(|@import|https?:", text) == []
    assert text.count("data:image/jpeg") > 10


def test_class_names_are_escaped_everywhere(run: Path) -> None:
    text = text_of(run)
    assert "<spot>" not in text
    assert "&lt;spot&gt; &amp; &#34;rot&#34;" in text


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (["eval-test.json"], "The evaluation: confusion matrix"),
        (["predictions-test.csv"], "predictions-test.csv: photos and their probabilities"),
        (["best", "eval-test.json"], "A best checkpoint: no epoch has ended yet"),
        (["calibration.json"], "Calibrated probabilities"),
    ],
)
def test_missing_files_name_their_command(run: Path, lost: list[str], told: str) -> None:
    for name in lost:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    text = text_of(run)
    assert told in text
    assert f"<code>leafdist report {run}</code>" in text


def test_missing_photos_are_reported(run: Path, tmp_path: Path) -> None:
    path = run / "eval-test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"root": str(tmp_path / "away")}))
    text = text_of(run)
    assert f"{tmp_path / 'away' / 'test'} is not on this machine" in text
    assert "data:image/jpeg" not in text
    assert 'role="grid"' in text


def test_files_passed_over_are_counted(run: Path) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"passed_over": {"val": {".txt": 3, "FIFO": 1}}}))
    assert re.search(r"Other files in val</dt>\s*<dd>3 x .txt, 1 x FIFO, skipped", text_of(run))


def test_foreign_calibration_is_not_used(run: Path) -> None:
    path = run / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"checkpoint": "0" * 64}))
    text = text_of(run)
    assert "ece" in Figures(text).found
    assert "ece_calibrated" not in Figures(text).found


def test_earlier_evaluation_is_marked(run: Path) -> None:
    assert "of an earlier one" not in text_of(run)
    path = run / "eval-test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"checkpoint": "0" * 64}))
    assert "what stands here is of an earlier one" in text_of(run)


def test_changed_settings_are_marked(run: Path) -> None:
    marked = re.findall(r'<tr class="changed"><th[^>]*>([^<]+)', text_of(run))
    assert marked == ["root", "name", "wandb"] * 2, "apart, and among all"


def test_command_says_where_page_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"wrote {run / 'report.html'}\n"
    assert main(["report", str(run.parent)]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_other_photos_stand_beside_own(run: Path) -> None:
    result = json.loads((run / "eval-test.json").read_text())
    elsewhere = {"elsewhere": "/field/2026", "unknown": {}, "absent": [], "accuracy": 0.4321}
    (run / "eval-test@field.json").write_text(json.dumps(result | elsewhere))
    text = text_of(run)
    assert Figures(text).found["accuracy"] == result["accuracy"]
    assert re.search(r'/field/2026</code>.*<data value="0.4321">43.2', text)
    (run / "eval-test.json").unlink()
    assert Figures(text_of(run)).found["accuracy"] == 0.4321


def test_roots_stand_side_by_side(run: Path) -> None:
    """Each with its interval, its curve, its column and its confusion matrix."""
    settings, result = (run / "config.yaml").read_text(), json.loads((run / "eval-test.json").read_text())
    (run / "config.yaml").write_text(settings.replace("extra: []", "extra: ['/field:0.3']"))
    facts = json.loads((run / "run.json").read_text())
    facts["data"]["val@field"] = {"photos": 40, "digest": ""}
    (run / "run.json").write_text(json.dumps(facts))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    roots = {"roots": {"field": {"accuracy": 0.25, "loss": 2.0}}}
    lines = [line | (roots if line["event"] == "epoch" else {}) for line in lines]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    field = {"elsewhere": "/field/test", "root": "/field", "split": "test", "unknown": {}, "absent": []}
    confusion = np.zeros((5, 5), int)
    confusion[1] = [123, 0, 0, 0, 77]
    classes = {name: scores | {"images": 200 * (name == CLASSES[1])} for name, scores in result["classes"].items()}
    field = result | field | {"confusion": confusion.tolist(), "classes": classes}
    (run / "eval-test@field.json").write_text(json.dumps(field))
    text = text_of(run)
    assert Figures(text).found["val_accuracy@field"] == 0.25
    assert "14.2 – 40.2" in text, "Wilson's interval of 10 in 40"
    assert "val of field" in text
    assert text.count('<td><data value="0.25">25.00') == 6, "a column of the epochs"
    found = re.search(r"Confusion matrix of /field/test.*?<tbody>(.*?)</tbody>", text, re.DOTALL)
    assert found
    assert re.findall(r"<td[^>]*>(\d*)", found[1]) == ["123", "", "", "", "77"], "no row without photos"


def test_two_runs_stand_side_by_side(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = drawn.parents[1] / "splitted"
    other = draw_run(tmp_path / "other", CLASSES, 200, root, seed=5, lr=3e-4)
    assert main(["report", str(run), str(other)]) == 0
    text = (run / "report-other.html").read_text()
    results = [json.loads((one / "eval-test.json").read_text()) for one in (run, other)]
    difference = Figures(text).found["difference"]
    assert difference == pytest.approx(results[1]["accuracy"] - results[0]["accuracy"])
    changed = re.findall(r'<th scope="row">([a-z_.]+)</th><td><code>([^<]*)</code></td><td><code>([^<]*)', text)
    assert changed == [("optim.lr", "0.001", "0.0003")]
    assert main(["report", str(run), str(other), str(run)]) == 2


def test_both_sides_show_same_photos(run: Path, tmp_path: Path) -> None:
    """One run's own test can be `test@<folder>` of the other, whose own test is of other photos."""
    root = Contents(run).root
    other = draw_run(tmp_path / "other", CLASSES, 200, root, seed=5)
    for path in list(other.glob("*test*")):
        path.rename(other / path.name.replace("test", "test@ours"))
    values = json.loads((other / "eval-test@ours.json").read_text()) | {"split": "test@ours"}
    (other / "eval-test@ours.json").write_text(json.dumps(values))
    own = json.loads((draw_run(tmp_path / "own", CLASSES, 50, root, seed=6) / "eval-test.json").read_text())
    (other / "eval-test.json").write_text(json.dumps(own | {"data": "e" * 64}))
    found = Figures(report.write(run, other).read_text()).found
    accuracy = json.loads((run / "eval-test.json").read_text())["accuracy"]
    assert found["difference"] == pytest.approx(values["accuracy"] - accuracy)
    assert f"{100 * values['accuracy']:.2f}" in report.write(run, other).read_text()


def test_both_pages_show_one_confidence(run: Path, tmp_path: Path) -> None:
    both = Contents(run), Contents(draw_run(tmp_path / "other", CLASSES, 200, Contents(run).root, seed=5))
    shown = calibrated(both, compare([one.path for one in both]).pairs[0])
    sure = {
        one.record.name: dict(zip(one.answers.paths, one.answers.confidence, strict=True))
        for one in both
        if one.answers
    }
    assert len(shown) > 20
    for photo in shown:
        assert photo.confidence == sure[photo.wrong][photo.path]
        assert photo.right_confidence == sure[photo.right][photo.path]


def test_old_evaluations_are_shown_too(run: Path) -> None:
    result = json.loads((run / "eval-test.json").read_text())
    kept = {name: result[name] for name in ("split", "images", "correct", "accuracy")}
    (run / "eval-test.json").write_text(json.dumps(kept))
    assert Figures(text_of(run)).found["accuracy"] == result["accuracy"]


def test_incomparable_runs_say_why(run: Path, tmp_path: Path) -> None:
    other = draw_run(tmp_path / "other", CLASSES[:3], 50, tmp_path / "away")
    text = report.write(run, other).read_text()
    assert "cannot be compared photo by photo" in text
    (other / "eval-test.json").unlink()
    assert "not both evaluated" in report.write(run, other).read_text()


def test_failing_report_is_one_line(run: Path) -> None:
    said = list[str]()
    (run / "eval-test.json").write_text("{}")
    report.attempt(run, said.append)
    assert len(said) == 1
    assert said[0].startswith("warning: no report (ValueError")
    assert f"leafdist report {run} tries again" in said[0]
