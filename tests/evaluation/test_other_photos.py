"""Photos from elsewhere, judged by a trained run."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from leafdist.config.schema import DataConfig
from leafdist.data.index import scan
from leafdist.data.photo_facts import SplitFacts
from leafdist.data.their_classes import UNKNOWN, match
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.other_photos import is_extra, is_own, name_of, open_elsewhere, renamed_in
from leafdist.runs.checkpoint import load_best, save_best
from leafdist.runs.evaluations import write_evaluation
from leafdist.runs.facts import RunFacts, write_facts
from leafdist.runs.load import load_run
from leafdist.runs.results import Evaluation
from tests.helpers.photos import CLASSES, draw
from tests.helpers.programs import TINY, Program
from tests.helpers.untrained import untrained_run


def test_folders_match_despite_case_and_unicode() -> None:
    classes = ("Apple___rust", "Café___healthy")
    assert match(("cafe\u0301___Healthy", "APPLE___rust", "Rose"), classes).tolist() == [1, 0, UNKNOWN]


def test_same_named_photo_folders_replace_nothing(tmp_path: Path) -> None:
    def judged(root: str, digest: str) -> str:
        evaluation = Evaluation(split="test", images=1, accuracy=1.0, data=digest, root=root)
        name = name_of(tmp_path, Path(root), evaluation)
        write_evaluation(tmp_path, name, evaluation)
        return name

    assert judged("/field/splitted", "a") == "test@splitted"
    assert judged("/field/splitted", "b") == "test@splitted", "photos were added there"
    assert judged("/lab/splitted", "c") == "test@lab-splitted"
    assert judged("/old/lab/splitted", "d") == "test@old-lab-splitted"
    assert judged("/scratch/job-7/splitted", "b") == "test@splitted", "a copy"
    assert judged("/scratch/job-7/lab/splitted", "c") == "test@lab-splitted"


def test_trained_root_is_known_by_photos(photos: Path, tmp_path: Path) -> None:
    """Of a root of data.extra it is known whether its leaves were kept apart, while its photos are those of the run."""
    facts = RunFacts(data={"train@field": SplitFacts(17, scan(photos, "train").digest)})
    write_facts(tmp_path, facts)
    data = DataConfig(root=str(photos))
    assert is_extra(tmp_path, data, Runtime())
    (photos / "train" / CLASSES[2] / "000.png").unlink()
    assert not is_extra(tmp_path, data, Runtime())
    write_facts(tmp_path, RunFacts(data={"val": SplitFacts(9, scan(photos, "val").digest)}))
    assert is_own(tmp_path, data, Runtime())
    (photos / "val" / "nothing in it").mkdir()
    assert not is_own(tmp_path, data, Runtime()), "what training would refuse may be judged"


def test_archive_needs_no_val(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "node"))
    (tmp_path / "node").mkdir()
    field = draw(tmp_path / "field", {"train": 2, "test": 2})
    facts = RunFacts(data={"val": SplitFacts(9, "a"), "train@field": SplitFacts(6, scan(field, "train").digest)})
    write_facts(tmp_path, facts)
    with tarfile.open(tmp_path / "field.tar", "w") as tar:
        tar.add(field, "field")
    data = DataConfig(root=str(tmp_path / "field.tar"), stage=True, source="folder", resize=16)
    assert [is_own(tmp_path, data, Runtime()), is_extra(tmp_path, data, Runtime())] == [False, True]


def test_cache_of_another_machine_is_left(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, cache="/proc/nowhere/packs")
    assert load_run(run).config.data.cache is None
    run = untrained_run(tmp_path / "here", "baseline", CLASSES, cache=str(tmp_path / "packs"))
    assert load_run(run).config.data.cache == str(tmp_path / "packs")


def test_one_class_is_enough_elsewhere(tmp_path: Path) -> None:
    field = draw(tmp_path / "field", {"train": 2}, classes=CLASSES[1:2])
    data = DataConfig(root=str(field), source="folder", resize=16)
    loader, unknown = open_elsewhere(data, "train", Runtime(), CLASSES)
    assert loader.source.index.labels.tolist() == [1, 1]
    assert unknown == {}
    (field / "test" / CLASSES[0]).mkdir(parents=True)
    (field / "train" / CLASSES[1]).rename(field / "test" / "Lily")
    with pytest.raises(ValueError, match="the folders of the run's classes hold no photo"):
        open_elsewhere(data, "test", Runtime(), CLASSES)


def test_class_map_is_for_trained_roots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field, renamed = str(tmp_path / "field"), {"rust": CLASSES[1], CLASSES[0]: CLASSES[2]}
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, extra=[f"{field}:0.25"])
    tensors, meta = load_best(run)
    mapped = replace(meta.config, data=replace(meta.config.data, classes="map.tsv"))
    save_best(run / "best", tensors, replace(meta, config=mapped))
    write_facts(run, RunFacts(class_map=renamed))
    assert renamed_in(load_run(run, root=field), Runtime()) == renamed
    assert renamed_in(load_run(run, root=str(tmp_path)), Runtime()) == {"rust": CLASSES[1]}
    assert f"{CLASSES[0]} is taken for the run's" in capsys.readouterr().out
    (run / "run.json").unlink()
    assert renamed_in(load_run(run, root=field), Runtime()) is None
    assert "data.classes=map.tsv said" in capsys.readouterr().out


@pytest.mark.slow
def test_other_photos_report_unmatched_classes(program: Program, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    assert program("train.py", "--data.root", photos, *TINY, "--train.epochs", 1).returncode == 0
    moved = photos.rename(tmp_path / "moved")
    done = program("evaluate.py", run, "--data", moved, "--tta")
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "eval-test+tta.json").read_text())["tta"] is True

    field = draw(tmp_path / "field", {".": 2}, classes=(CLASSES[0].upper(), CLASSES[2], "Rose___rust"))
    (field / CLASSES[1]).mkdir()
    (tmp_path / "fold-0").mkdir()
    done = program("evaluate.py", run, "--data", field, processes=2)
    assert done.returncode == 0, done.stderr
    assert "left out, of classes that the run does not know: Rose___rust (2)" in done.stdout
    assert f"classes of the run without a photo: {CLASSES[1]}" in done.stdout
    result = json.loads((run / "eval-test@field.json").read_text())
    assert (result["images"], result["unknown"], result["absent"]) == (4, {"Rose___rust": 2}, [CLASSES[1]])
    assert [row["images"] for row in result["classes"].values()] == [2, 0, 2]
    assert result["calibration"]["fitted_on"] == "val"
    assert result["leaf_disjoint"].startswith("unknown")
    assert [(field / ".leafdist").is_dir(), (tmp_path / ".leafdist").exists()] == [True, False]
    rows = (run / "predictions-test@field.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:3]] == [f"{CLASSES[0].upper()}/{n:03}.png" for n in range(2)]
