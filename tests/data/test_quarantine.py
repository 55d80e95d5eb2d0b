"""Photos that cannot be read: an error, or set aside for training and counted as wrong in evaluation."""

import csv
import errno
import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leafdist.__main__ import main
from leafdist.data import quarantine
from leafdist.data.index import scan
from leafdist.data.open import origin
from leafdist.data.pack import ensure_pack
from leafdist.data.photo_facts import Origin
from leafdist.data.quarantine import set_bad_aside
from leafdist.data.source import FolderSource
from leafdist.evaluation.intervals import wilson
from tests.helpers.photos import CLASSES
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events
from tests.helpers.untrained import untrained_run

BAD = {"train": f"{CLASSES[0]}/002.png", "val": f"{CLASSES[1]}/001.png", "test": f"{CLASSES[2]}/000.png"}


@pytest.fixture
def damaged(photos: Path) -> Path:
    for split, name in BAD.items():
        (photos / split / name).write_bytes(b"no photo")
    return photos


def test_bad_photos_are_found_once(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = set_bad_aside(scan(damaged, "train"), damaged / "cache", 2)
    assert BAD["train"] not in index.names
    assert (len(index), len(index.names)) == (16, 16)
    (photo,) = index.set_aside
    assert (photo.name, photo.label) == (BAD["train"], 0)
    assert "002.png cannot be decoded" in photo.reason
    assert index.digest != scan(damaged, "train").digest, "a run is bound to the photos it was trained on"
    (kept,) = (damaged / "cache").glob("*.unreadable")
    kept.write_text("{")
    assert set_bad_aside(scan(damaged, "train"), damaged / "cache", 1).digest == index.digest, "damaged: found again"
    monkeypatch.setattr(quarantine, "find_bad", lambda *_: pytest.fail("decoded again"))
    assert set_bad_aside(scan(damaged, "train"), damaged / "cache", 2).digest == index.digest


def test_unwritable_cache_is_told(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, header: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded", str(path))

    said, cache = list[str](), damaged / "cache"
    monkeypatch.setattr(quarantine, "write_header", full)
    assert len(set_bad_aside(scan(damaged, "train"), cache, 1, said.append).set_aside) == 1
    assert "not kept" in said[-1]
    assert cache.stat().st_mode == damaged.stat().st_mode, "as open as the folder of the photos"


def test_failing_disk_quarantines_no_photo(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Image.open

    def stale(path: Path) -> Image.Image:
        if path.name == "004.png":
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return opened(path)

    monkeypatch.setattr(Image, "open", stale)
    with pytest.raises(ValueError, match=r"004\.png cannot be read .*Stale file handle"):
        set_bad_aside(scan(damaged, "train"), damaged / "cache", 1)
    monkeypatch.setattr(Image, "open", opened)
    assert len(set_bad_aside(scan(damaged, "train"), damaged / "cache", 1).set_aside) == 1


def test_split_json_covers_its_photos_only(photos: Path) -> None:
    assert origin(scan(photos, "test")).leaf_disjoint == "unknown: there is no split.json"
    index = scan(photos, "test")
    digest = sha256("".join(f"{name}\n" for name in sorted(index.names)).encode()).hexdigest()
    (photos / "split.json").write_text(json.dumps({"groups": "leaf_ids.tsv", "digests": {"test": digest}}))
    assert origin(index) == Origin(digest, "yes, where leaf ids are known")
    shutil.copy(photos / "train" / CLASSES[0] / "005.png", photos / "test" / CLASSES[0])
    assert origin(scan(photos, "test")).leaf_disjoint.startswith("unknown: the photos are not those")
    for other in ("{}", '["another program"]'):
        (photos / "split.json").write_text(other)
        assert origin(index).split_digest is None


def test_pixel_limit_reaches_every_decoder(photos: Path) -> None:
    index = scan(photos, "train")
    with pytest.raises(ValueError, match="has 1600 pixels"):
        ensure_pack(index, 8, photos / "cache", 2, max_pixels=1599)
    with pytest.raises(ValueError, match="has 1600 pixels"):
        FolderSource(index, 8, max_pixels=1599).read(np.arange(1))
    with pytest.raises(ValueError, match="none of its photos can be decoded"):
        set_bad_aside(index, photos / "cache", 2, max_pixels=1599)
    assert len(set_bad_aside(index, photos / "cache", 1, max_pixels=1600)) == len(index), "another finding"


def test_unreadable_class_is_an_error(damaged: Path) -> None:
    for photo in (damaged / "val" / CLASSES[1]).iterdir():
        photo.write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of its photos can be decoded.*000\.png"):
        set_bad_aside(scan(damaged, "val"), damaged / "cache", 1)


@pytest.mark.slow
def test_bad_photos_count_wrong_in_evaluation(program: Program, damaged: Path, tmp_path: Path) -> None:
    common = ["train.py", "--data.root", damaged, *TINY, "--train.epochs", 1, "--optim.name", "sgd"]
    common += ["--data.on_corrupt", "quarantine"]
    (damaged / "train" / CLASSES[0] / "notes.txt").touch()
    leaves = tmp_path / "leaves.tsv"
    leaves.write_text("class\tstem\tleaf_id\n" + "".join(f"{CLASSES[0]}\t00{n}\tone\n" for n in range(3)))
    for name, source, processes in (("one", "pack", 1), ("two", "folder", 2)):
        done = program(*common, "--data.source", source, "--run.name", name, processes=processes)
        assert done.returncode == 0, done.stderr
        assert "photos set aside: 1 of train, 1 of val" in done.stdout
        assert "skipped in train, since they are no photos: 1 x .txt" in done.stdout
        facts = json.loads((tmp_path / "runs" / name / "run.json").read_text())
        assert facts["passed_over"] == {"train": {".txt": 1}}
        rows = json.loads((tmp_path / "runs" / name / "set-aside.json").read_text())
        assert [(row["split"], row["path"]) for row in rows] == [("train", BAD["train"]), ("val", BAD["val"])]
        done = program("evaluate.py", tmp_path / "runs" / name, "--groups", leaves, processes=processes)
        assert done.returncode == 0, done.stderr
        assert "1 unreadable photo counted as wrong" in done.stdout
    one, two = (events(tmp_path / "runs" / name) for name in ("one", "two"))
    np.testing.assert_allclose([event.get("loss", 0) for event in one], [event.get("loss", 0) for event in two], 1e-5)
    run = tmp_path / "runs" / "one"
    result = json.loads((run / "eval-test+leaves.json").read_text())
    assert (result["images"], result["unreadable"]) == (9, 1)
    assert result["correct"] <= 8
    assert result["interval"] == list(wilson(result["correct"], 9))
    low, high = result["interval_by_leaf"]
    assert low <= result["accuracy"] <= high
    assert result["leaf_disjoint"] == "unknown: there is no split.json"
    with (run / "predictions-test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"{name}/{n:03}.png" for name in CLASSES for n in range(3)]
    assert [row["path"] for row in rows if not row["predicted"]] == [BAD["test"]]
    done = program("evaluate.py", run, "--split", "val", "--data", damaged.rename(tmp_path / "moved"))
    assert done.returncode == 0, done.stderr
    assert (run / "eval-val.json").exists(), "the run's own photos, though one of them cannot be read"


def test_class_of_test_may_be_unreadable(damaged: Path) -> None:
    for photo in (damaged / "test" / CLASSES[1]).iterdir():
        photo.write_bytes(b"")
    index = set_bad_aside(scan(damaged, "test"), damaged / "cache", 1)
    assert (len(index), len(index.set_aside)) == (5, 4)
    for photo in (damaged / "test").rglob("*.png"):
        photo.write_bytes(b"")
    with pytest.raises(ValueError, match="none of its photos can be decoded"):
        set_bad_aside(scan(damaged, "test"), damaged / "cache", 1)


@pytest.mark.slow
def test_ranks_leave_evaluation_together(program: Program, damaged: Path, tmp_path: Path) -> None:
    """One of them meets the photo that cannot be read, as it reads the folder."""
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, root=str(damaged), source="folder")
    done = program("evaluate.py", run, processes=2)
    assert done.returncode == 2
    assert f"error: {damaged / 'val' / BAD['val']} cannot be decoded" in done.stderr
    assert "Traceback" not in done.stderr


def test_pack_builds_what_training_reads(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(damaged)]) == 2, "a photo that cannot be decoded"
    assert main(["pack", str(damaged), "--on-corrupt", "quarantine"]) == 0
    shutil.rmtree(damaged / "val")
    for name in CLASSES[1:]:
        for split in ("train", "test"):
            shutil.rmtree(damaged / split / name)
    capsys.readouterr()
    assert main(["pack", str(damaged), "--on-corrupt", "quarantine"]) == 0, "as a root of data.extra may be"
    said = capsys.readouterr()
    assert [Path(line).name.split("-")[0] for line in said.out.splitlines()] == ["train", "test"]
    assert "has no val: it will do for data.extra" in said.err
