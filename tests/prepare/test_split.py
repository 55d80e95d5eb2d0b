"""Splitting raw class folders: exact counts, whole leaves, and nothing half done."""

import json
import os
from itertools import chain
from pathlib import Path

import pytest

from leafdist.data.groups import read_groups
from leafdist.data.photos import UNFINISHED, below_single_folders, list_classes, list_images
from leafdist.prepare.partition import RATIOS, deal, take
from leafdist.prepare.split import split
from leafdist.system.unpack import unpack
from tests.helpers.files import tree
from tests.helpers.paths import SHARED
from tests.helpers.raw_folders import make_raw, names, write_groups


@pytest.mark.parametrize("n", range(5, 61))
def test_splits_get_floor_of_their_share(n: int) -> None:
    photos = [str(number) for number in range(n)]
    parts = take(photos, floors=True)
    assert [len(files) for files in parts.values()] == [n * 3 // 5, n // 5, n // 5]
    used = [file for files in parts.values() for file in files]
    assert used == photos[: len(used)]
    assert 0 <= n - len(used) <= 2
    every = take(photos)
    assert sorted(chain(*every.values()), key=int) == photos
    assert all(every[part][: len(files)] == files for part, files in parts.items()), "the others join these"
    assert all(abs(len(every[part]) - n * tenths / 10) < 1 for part, tenths in RATIOS.items())


@pytest.mark.parametrize("n", range(5, 61))
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_groups_never_straddle_splits(n: int, size: int) -> None:
    size = min(size, n // 3)
    photos = [f"{number:02}" for number in range(n)]
    groups = [photos[start : start + size] for start in range(0, n, size)]
    ids = {("a", photo): number for number, group in enumerate(groups) for photo in group}
    parts = deal({"a": photos}, ids)["a"]
    assert sorted(chain.from_iterable(parts.values())) == photos
    for group in groups:
        assert sum(bool(set(group) & set(files)) for files in parts.values()) == 1
    for part, files in parts.items():
        assert files
        assert abs(len(files) - n * RATIOS[part] / 10) <= size


def test_listed_order_keeps_order_and_reports(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=14, b=5)
    (raw / "a" / "notes.txt").touch()
    report = split(raw, tmp_path / "out", order="listed")
    assert [file[:3] for file in names(tmp_path / "out", "train", "a")] == [f"{n:03}" for n in range(8)]
    assert [file[:3] for file in names(tmp_path / "out", "test", "a")] == ["010", "011"]
    assert report.classes["a"] == {"train": 8, "val": 2, "test": 2, "left_over": 2, "skipped": 1, "without_id": 0}
    assert report.totals == {"train": 11, "val": 3, "test": 3, "left_over": 2, "skipped": 1, "without_id": 0}
    assert report.json() == json.loads((tmp_path / "out" / "split.json").read_text())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["split.json", "test", "train", "val"]


def test_shuffle_depends_on_seed_and_class(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=30, b=30)
    before = split(raw, tmp_path / "one")
    make_raw(raw, aa=30)
    split(raw, tmp_path / "two")
    split(raw, tmp_path / "three", seed=1)
    for part in RATIOS:
        for name in ("a", "b"):
            assert names(tmp_path / "one", part, name) == names(tmp_path / "two", part, name)
    assert names(tmp_path / "one", "train", "a") != names(tmp_path / "one", "train", "b")
    assert names(tmp_path / "one", "train", "a") != names(tmp_path / "three", "train", "a")
    assert before.digests["val"].startswith("cd1f4f6984de5ea0"), (
        "a changed digest means that old splits cannot be repeated"
    )


def test_photos_of_one_leaf_stay_together(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=40, b=10)
    rows = [("a", f"{n:03}", f"leaf {n // 4}") for n in range(36)] + [("a", "036", "")]
    groups = write_groups(tmp_path / "ids.tsv", rows)
    report = split(raw, tmp_path / "out", groups=groups)
    for leaf in range(9):
        stems = {f"{n:03}" for n in range(4 * leaf, 4 * leaf + 4)}
        sides = [part for part in RATIOS if stems & {Path(file).stem for file in names(tmp_path / "out", part, "a")}]
        assert len(sides) == 1
    assert report.classes["a"] == {"train": 24, "val": 8, "test": 8, "left_over": 0, "skipped": 0, "without_id": 4}
    assert report.totals["without_id"] == 14
    assert report.groups is not None
    assert len(report.groups) == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class\tstem\n", "lacks the column 'leaf_id'"),
        ("class\tstem\tleaf_id\na\t1\n", "line 2: too few fields"),
        ("class,stem,leaf_id\na,_bell,000,x\n", "line 2: too many fields"),
        ("class\tstem\tleaf_id\na\t1\tx\na\t1\ty\n", "line 3: a/1 has a second leaf id"),
        ("class\tstem\tleaf_id\nb\t000\tx\n", "names no photo of"),
        ("class\tstem\tleaf_id\na\t000\tx\na\t001\tx\na\t002\tx\na\t003\tx\na\t004\ty\n", "'a' shows 2 leaves"),
    ],
)
def test_wrong_groups_file_writes_nothing(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ids.tsv").write_text(text)
    with pytest.raises(ValueError, match=message):
        split(make_raw(tmp_path / "raw", a=5), tmp_path / "out", groups=tmp_path / "ids.tsv")
    assert not (tmp_path / "out").exists()


def test_a_missing_groups_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.tsv cannot be read"):
        read_groups(tmp_path / "none.tsv")


@pytest.mark.parametrize(("count", "message"), [(0, "b holds no photo"), (4, "class 'b' has 4 photos")])
def test_class_too_small_is_named(tmp_path: Path, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(make_raw(tmp_path / "raw", a=5, b=count), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dest", ["raw", "raw/out", "."])
def test_nested_raw_and_destination_are_refused(tmp_path: Path, dest: str) -> None:
    raw = make_raw(tmp_path / "raw", a=5)
    with pytest.raises(ValueError, match="lie within each other"):
        split(raw, tmp_path / dest)


@pytest.mark.parametrize("marked", [False, True])
def test_foreign_files_in_destination_are_kept(tmp_path: Path, marked: bool) -> None:
    dest = tmp_path / "out"
    dest.mkdir()
    (dest / "mine.txt").write_text("mine")
    if marked:
        (dest / UNFINISHED).touch()
    with pytest.raises(ValueError, match=r"not empty \(mine.txt\)"):
        split(make_raw(tmp_path / "raw", a=5), dest)
    assert (dest / "mine.txt").read_text() == "mine"


def test_a_finished_split_is_not_overwritten(tmp_path: Path) -> None:
    raw, dest = make_raw(tmp_path / "raw", a=5), tmp_path / "out"
    split(raw, dest)
    (dest / UNFINISHED).touch()  # killed between the last two steps
    before = tree(dest)
    for _ in range(2):
        with pytest.raises(ValueError, match="holds a finished split"):
            split(raw, dest)
    before.pop(UNFINISHED)
    assert tree(dest) == before, "a data set, and unfinished no more"


def test_hard_links_follow_symlinks(tmp_path: Path) -> None:
    raw, names = make_raw(tmp_path / "raw", a=5), tmp_path / "names"
    for photo in sorted((raw / "a").iterdir()):
        (place := names / photo.relative_to(raw)).parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(photo, place.parent))
    split(names, tmp_path / "out", mode="hardlink")
    made = [path for path in (tmp_path / "out").rglob("*") if path.suffix.lower() == ".jpg"]
    assert len(made) == 5
    assert all(path.is_file() and not path.is_symlink() for path in made)


def test_other_files_are_counted(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpeg", "c.TiFf", "d.webp", ".hidden.jpg", "Thumbs.db", "noending"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    photos, skipped = list_images(tmp_path)
    assert [photo.name for photo in photos] == ["a.jpeg", "b.JPG", "c.TiFf", "d.webp"]
    assert skipped == {"hidden": 1, ".db": 1, "other file": 1, "folder": 1, "broken link": 1}


def test_classes_below_an_archive_folder_found(tmp_path: Path) -> None:
    make_raw(tmp_path / "fetched" / "data" / "leaf", a=5, b=5)
    (tmp_path / "fetched" / "fetch.json").write_text("{}")
    split(tmp_path / "fetched", tmp_path / "splitted")
    assert len(names(tmp_path / "splitted", "train", "a")) == len(names(tmp_path / "splitted", "train", "b")) == 3
    make_raw(tmp_path / "one", a=5)
    assert below_single_folders(tmp_path / "one") == tmp_path / "one", "a class alone is no folder around classes"
    assert below_single_folders(tmp_path / "splitted" / "train" / "a") == tmp_path / "splitted" / "train" / "a"


def test_folder_without_classes_names_way_out(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match="leafdist sample-data"):
            list_classes(folder)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file cannot be read"):
        list_images(tmp_path / "file")


@pytest.mark.real
def test_real_splits_share_no_leaf(tmp_path: Path) -> None:
    if not (SHARED / "data" / "leaf256.tar").exists():
        pytest.skip(f"{SHARED / 'leaf256.tar'} is absent")
    unpack(SHARED / "data" / "leaf256.tar", tmp_path)
    ids = read_groups(SHARED / "data" / "leaf_ids.tsv")
    report = split(tmp_path / "leaf256", tmp_path / "out", groups=SHARED / "data" / "leaf_ids.tsv")
    sides: dict[str, set[str]] = {}
    for name in report.classes:
        for part in RATIOS:
            for file in names(tmp_path / "out", part, name):
                leaf = ids.get((name, Path(file).stem), f"{name}/{file}")
                sides.setdefault(leaf, set()).add(part)
    assert {len(parts) for parts in sides.values()} == {1}
    assert len(report.classes) == 33
    assert report.totals["without_id"] == 1301
    photos = sum(report.totals[part] for part in RATIOS)
    assert photos == 4685
    assert report.totals["train"] == pytest.approx(0.6 * photos, rel=0.01)
    assert report.totals["test"] == pytest.approx(0.2 * photos, rel=0.02)
