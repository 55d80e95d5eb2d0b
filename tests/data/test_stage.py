"""Staging: one copy a node, whole, found again; whatever was killed, changed or done by two at once."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.config.schema import DataConfig
from leafdist.data import pack
from leafdist.data.index import scan
from leafdist.data.leaf_masks import find_masks
from leafdist.data.stage import scratch, stage, stage_pack
from tests.helpers.files import archived, tree
from tests.helpers.painted_masks import paint_masks
from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES, draw


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The disk of a node."""
    monkeypatch.setenv("SLURM_TMPDIR", str(tmp_path / "node"))
    return tmp_path / "node"


def staged(source: Path) -> tuple[Path, list[str]]:
    said: list[str] = []
    return stage(source, say=said.append), said


SOURCES: dict[str, Callable[[Path], Path]] = {"folder": lambda root: root, "archive": archived}
each_source = pytest.mark.parametrize("kind", SOURCES)


@each_source
def test_copy_equals_source_and_is_reused(kind: str, photos: Path) -> None:
    source = SOURCES[kind](photos)
    root, said = staged(source)
    assert tree(root) == tree(photos)
    assert re.match(r"staging [^\n]* \(there is no copy yet\)$", "\n".join(said))
    assert scan(root, "train").digest == scan(photos, "train").digest
    again = staged(source)
    assert again[0] == root
    assert re.match(r"found [^\n]* staged in [^\n]*$", "\n".join(again[1]))


def test_splits_may_differ_in_classes(tmp_path: Path) -> None:
    """As those of a root of data.extra may; of data.root the training says it."""
    root = draw(tmp_path / "field", {"train": 2, "val": 1}, classes=CLASSES[:2])
    shutil.rmtree(root / "val" / CLASSES[0])
    assert tree(staged(root)[0]) == tree(root)


@each_source
def test_packs_stage_as_they_are(kind: str, photos: Path) -> None:
    for split in ("train", "val", "test"):
        pack.ensure_pack(scan(photos, split), 16, photos / ".leafdist", 1)
        paint_masks(photos, 16, split)
    root, _ = staged(SOURCES[kind](photos))
    said: list[str] = []
    for split in ("train", "val", "test"):
        path = pack.ensure_pack(scan(root, split), 16, pack.cache_folder(root, None), 1, said.append)
        assert path.is_relative_to(root)
        assert find_masks(scan(root, split), DataConfig(resize=16)).is_relative_to(root)
    assert said == []


@each_source
def test_changed_source_gets_a_new_copy(kind: str, photos: Path) -> None:
    before = staged(SOURCES[kind](photos))[0]
    (photos / "train" / CLASSES[0] / "001.png").unlink()
    after = staged(SOURCES[kind](photos))[0]
    assert tree(after) == tree(photos) != tree(before)


DAMAGE: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a photo gone": (lambda photo, manifest: photo.unlink(), "other files, bytes, listing"),
    "a photo cut": (lambda photo, manifest: os.truncate(photo, 9), "other bytes, listing"),
    "a photo changed": (lambda photo, manifest: photo.touch(), "other listing"),
    "no manifest": (lambda photo, manifest: manifest.unlink(), "half done by a job that was killed"),
    "half a manifest": (lambda photo, manifest: os.truncate(manifest, 30), "its manifest is damaged"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_copy_is_made_again(kind: str, photos: Path) -> None:
    root = staged(photos)[0]
    harm, message = DAMAGE[kind]
    harm(root / "train" / CLASSES[1] / "002.png", root.with_name(f"{root.name}.json"))
    assert message in staged(photos)[1][0]
    assert tree(root) == tree(photos)
    assert "found" in staged(photos)[1][0]


def staging(source: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "leafdist", "stage", str(source)]
    return subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """3,000 photos: time enough to be killed."""
    photo = draw(tmp_path / "one", {"train": 1}, classes=["a"]) / "train" / "a" / "000.png"
    for number in range(3000):
        path = tmp_path / "splitted" / "train" / f"class {number % 10}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(photo, path)
    return tmp_path / "splitted"


def midway(source: Path) -> "subprocess.Popen[str]":
    """A job that has begun to copy."""
    process = staging(source)
    while process.poll() is None and not list(scratch().glob(".*.partial/**/*.png")):
        pass
    return process


@each_source
def test_killed_staging_starts_over(kind: str, many: Path) -> None:
    process = midway(source := SOURCES[kind](many))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert list(scratch().glob(".*.partial"))
    assert list(scratch().glob("[!.]*")) == []
    root, said = staged(source)
    assert tree(root) == tree(many)
    assert "staging" in said[0]
    assert list(scratch().glob(".*.partial")) == []


@each_source
def test_second_job_waits_for_staging(kind: str, many: Path) -> None:
    first = midway(source := SOURCES[kind](many))
    root, said = staged(source)
    assert first.communicate()[0] == f"{root}\n"
    assert tree(root) == tree(many)
    assert [line.split(" ")[0] for line in said] == ["waiting", "found"]


def test_the_command_prints_the_path_alone(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stage", str(photos), "--to", str(tmp_path / "other disk")]) == 0
    output = capsys.readouterr()
    assert Path(output.out.removesuffix("\n")).is_relative_to(tmp_path / "other disk")
    assert "staging" in output.err


def test_unsafe_staging_folders_are_refused(
    photos: Path, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    node.mkdir()
    (node / f"leafdist-{os.geteuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(ValueError, match="belongs to somebody else"):
        stage(photos)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "second"))
    monkeypatch.delenv("SLURM_TMPDIR")
    assert stage(photos).is_relative_to(tmp_path / "second")
    monkeypatch.delenv("TMPDIR")
    with pytest.raises(ValueError, match="neither SLURM_TMPDIR nor TMPDIR is set"):
        stage(photos)


@each_source
def test_little_space_is_seen_before_copying(kind: str, photos: Path, small_disk: Path) -> None:
    for number in range(9):
        (photos / "train" / CLASSES[0] / f"large {number}.png").write_bytes(os.urandom(20000))
    with pytest.raises(ValueError, match=r"needs \d+ MiB, .*disk.* has 0\. Name another folder"):
        stage(SOURCES[kind](photos), small_disk)
    assert [path.name for path in (small_disk / f"leafdist-{os.geteuid()}").glob("[!.]*")] == []


def test_archive_without_data_set_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "raw", {"one": 1})
    draw(tmp_path / "raw", {"two": 1})
    with pytest.raises(ValueError, match="holds no data set"):
        stage(archived(tmp_path / "raw"))
    assert list(scratch().glob("[!.]*")) == list(scratch().glob(".*.partial")) == []
    with pytest.raises(ValueError, match="absent"):
        stage(tmp_path / "absent")


def test_pack_alone_is_copied_and_found(photos: Path) -> None:
    said: list[str] = []
    index, cache = scan(photos, "train"), photos / ".leafdist"

    def path() -> Path:
        return stage_pack(index, 16, cache, 1, say=said.append)

    assert path().is_relative_to(scratch())
    assert [line.split()[0] for line in said] == ["packing", "staging"]
    assert path().read_bytes() == next(cache.glob("*.u8")).read_bytes()
    assert len(said) == 2
    os.truncate(path(), 9)
    assert pack.check(path(), index, 16) is None
    assert "its data is not" in said[-1]
