"""Splitting without leaf ids, into folds, by links: what belongs together stays together."""

import errno
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leafdist.__main__ import main
from leafdist.config.schema import DataConfig
from leafdist.data.folds import fold_root
from leafdist.data.groups import read_groups
from leafdist.data.index import scan
from leafdist.data.split_report import Grouping
from leafdist.prepare.audit.audit import audit
from leafdist.prepare.grouping import LARGEST, parse, series
from leafdist.prepare.partition import Photo, deal, fold_shares
from leafdist.prepare.split import split, transfer
from tests.helpers.files import tree
from tests.helpers.paths import SHARED
from tests.helpers.raw_folders import make_raw, names, write_groups

FOLDS = 4


@pytest.mark.parametrize(
    ("file", "beginning", "number"),
    [
        ("0a1b2c3d-9a9a-4e4e-8b8b-0123456789ab___RS_HL 0607 copy 2.jpg", "RS_HL", 607),
        ("9a69a102-85ea-cb4c-8341-01718e462bf3___GH_HL Leaf 173.5.JPG", "GH_HL Leaf", 173),
        ("UF.GRC_YLCV_Lab 02541.JPG", "UF.GRC_YLCV_Lab", 2541),
        ("IMG_20240501.jpg", "IMG", 20240501),
        ("0012.png", "", 12),
        ("leaf.png", "leaf", None),
    ],
)
def test_file_number_is_split_from_prefix(file: str, beginning: str, number: int | None) -> None:
    assert parse(file) == (beginning, number)


def series_of(*numbers: int, label: str = "a", more: int = 60) -> list[list[str]]:
    photos = [(label, f"x {number}.jpg") for number in numbers] + [(label, f"{'y' * k}.jpg") for k in range(1, more)]
    return [[photos[place][1].split()[1] for place in run] for run in series(photos)]


def test_series_ends_at_missing_numbers() -> None:
    assert series_of(7, 3, 1, 20, 11) == [["1.jpg", "3.jpg", "7.jpg", "11.jpg"], ["20.jpg"]]


def test_long_series_are_cut_at_gaps() -> None:
    assert [len(run) for run in series_of(1, 2, 3, 5, 6, 7, more=34)] == [3, 3]
    lengths = [len(run) for run in series_of(*range(5000), more=2)]
    assert max(lengths) <= LARGEST
    assert min(lengths) >= LARGEST // 4


def test_series_differ_by_class_and_prefix() -> None:
    photos = [("a", "x 1.jpg"), ("a", "x 2.jpg"), ("a", "y 3.jpg"), ("b", "x 3.jpg")]
    photos += [(label, f"{'z' * k}.jpg") for label in "ab" for k in range(1, 30)]
    assert series(photos) == [[0, 1], [2], [3]]


def draw_raw(root: Path) -> Path:
    """Two classes of 40 photos of noise; 7 and 27 of `a` look the same, so do 3 of `a` and 5 of `b`."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (2, 40, 8, 8, 3), np.uint8)
    blocks[0, 27], blocks[1, 5] = blocks[0, 7], blocks[0, 3]
    for label, photos in zip("ab", blocks, strict=True):
        (root / label).mkdir(parents=True)
        for number, block in enumerate(photos):
            pixels = block.repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(root / label / f"p {20 * number}.jpg", quality=60 + number % 30)
    return root


def sides(dest: Path) -> dict[Photo, str]:
    return {
        (path.parent.name, path.name): path.parts[-3] for path in dest.rglob("*.jpg") if path.parts[-3] != dest.name
    }


def test_near_duplicates_stay_together_across_classes(tmp_path: Path) -> None:
    report = split(draw_raw(tmp_path / "raw"), tmp_path / "out", near=True)
    side = sides(tmp_path / "out")
    assert len(side) == 80
    assert side["a", "p 140.jpg"] == side["a", "p 540.jpg"]
    assert side["a", "p 60.jpg"] == side["b", "p 100.jpg"]
    assert report.groups == "near"
    assert report.grouping == Grouping(groups=78, largest=2, across_classes=1)
    for label in "ab":
        assert [report.classes[label][part] for part in ("train", "val", "test")] == pytest.approx([24, 8, 8], abs=1)


def test_mixed_group_goes_to_one_split() -> None:
    photos = {label: [f"{label}{k}" for k in range(20)] for label in "ab"}
    mixed = {(label, f"{label}{k}") for label in "ab" for k in range(6)}
    dealt = deal(photos, dict.fromkeys(mixed, "mixed"))
    holders = {part for label, file in mixed for part, files in dealt[label].items() if file in files}
    assert len(holders) == 1
    assert [len(files) for parts in dealt.values() for files in parts.values()] == [12, 4, 4] * 2


def test_folds_share_one_test_set(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=40, b=23)
    report = split(raw, tmp_path / "out", folds=FOLDS)
    roots = [fold_root(tmp_path / "out", number) for number in range(FOLDS)]
    tests = {tuple(names(root, "test", label)) for root in roots for label in "a"}
    assert len(tests) == 1
    for label, count in (("a", 40), ("b", 23)):
        vals = [names(root, "val", label) for root in roots]
        assert sorted(chain(*vals, names(roots[0], "test", label))) == sorted(
            path.name for path in (raw / label).iterdir()
        )
        assert max(map(len, vals)) - min(map(len, vals)) <= 1
        assert len(names(roots[0], "test", label)) == pytest.approx(count / 5, abs=1)
        for root, val in zip(roots, vals, strict=True):
            rest = {*names(root, "train", label), *val, *names(root, "test", label)}
            assert len(rest) == count == len(names(root, "train", label)) + len(val) + len(names(root, "test", label))
    assert report.folds == FOLDS
    assert json.loads((roots[1] / "split.json").read_text())["fold"] == 1
    assert (roots[0] / "test" / "a").stat().st_nlink == (raw / "a").stat().st_nlink
    photo = names(roots[0], "test", "a")[0]
    assert len({(root / "test" / "a" / photo).stat().st_ino for root in roots}) == 1, "one copy on the disk"
    assert (raw / "a" / photo).stat().st_nlink == 1, "the raw photo is another file"


def test_leaves_stay_whole_in_folds(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=60)
    ids = write_groups(tmp_path / "ids.tsv", [("a", f"{n:03}", f"leaf {n // 4}") for n in range(60)])
    split(raw, tmp_path / "out", groups=ids, folds=3)
    for number in range(3):
        parts = defaultdict(set)
        for part in ("train", "val", "test"):
            for file in names(tmp_path / "out" / f"fold-{number}", part, "a"):
                parts[int(file[:3]) // 4].add(part)
        assert {len(found) for found in parts.values()} == {1}


def test_class_too_small_for_folds_named(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=40, b=5)
    with pytest.raises(ValueError, match=r"class 'b' shows 5 leaves.*ask for fewer folds"):
        split(raw, tmp_path / "out", folds=9)
    with pytest.raises(ValueError, match="--folds 1: must be at least 2"):
        split(raw, tmp_path / "out", folds=1)
    assert not (tmp_path / "out").exists()


def test_interrupted_folds_start_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, out = make_raw(tmp_path / "raw", a=40), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("leafdist.prepare.split.os.link", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            split(raw, out, folds=2)
    with pytest.raises(ValueError, match="unfinished split"):
        fold_root(out, 0)
    split(raw, out, folds=2, say=lambda _: None)
    split(raw, tmp_path / "fresh", folds=2)
    assert tree(out) == tree(tmp_path / "fresh")


def test_fold_is_chosen_by_name(tmp_path: Path) -> None:
    split(make_raw(tmp_path / "raw", a=40), tmp_path / "out", folds=2)
    with pytest.raises(ValueError, match=r"say which is val with data\.fold=0 to 1"):
        fold_root(tmp_path / "out", None)
    with pytest.raises(ValueError, match=r"data\.fold=2: .* it holds fold-0, fold-1"):
        fold_root(tmp_path / "out", 2)
    with pytest.raises(ValueError, match="it holds none"):
        fold_root(tmp_path / "raw", 0)
    assert fold_root(tmp_path / "raw", None) == tmp_path / "raw"
    assert len(scan(fold_root(tmp_path / "out", 1), "val")) == 16
    assert DataConfig().fold is None
    with pytest.raises(ValueError, match="audit one of them"):
        audit(tmp_path / "out")


@pytest.mark.parametrize("mode", ["hardlink", "symlink"])
@pytest.mark.parametrize("folds", [None, 2])
def test_links_equal_copies(tmp_path: Path, mode: str, folds: int | None) -> None:
    raw = make_raw(tmp_path / "raw", a=20, b=20)
    more = ["--folds", str(folds)] if folds else []
    assert main(["split", str(raw), str(tmp_path / "links"), "--mode", mode, *more]) == 0
    split(raw, tmp_path / "copies", folds=folds)
    links, copies = tree(tmp_path / "links"), tree(tmp_path / "copies")
    photos = [name for name in links if not name.endswith(".json")]
    assert {name: links[name] for name in photos} == {
        name: content for name, content in copies.items() if not name.endswith(".json")
    }
    for name in photos:
        path = tmp_path / "links" / name
        assert path.is_symlink() == (mode == "symlink")
        assert path.samefile(raw / path.parent.name / path.name)


def test_missing_hard_links_name_way_out(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(ValueError, match="Use --mode copy or symlink"):
        transfer([(tmp_path / "a", Path("/dev/shm") / f"leafdist-{os.getpid()}")], "hardlink")  # another file system
    with pytest.raises(OSError, match="No such file"):
        transfer([(tmp_path / "a", tmp_path / "none" / "a")], "hardlink")


def test_read_only_photos_split_and_remove(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=10)
    for path in raw.rglob("*"):
        path.chmod(0o444 if path.is_file() else 0o555)
    split(raw, tmp_path / "out")
    assert all(path.stat().st_mode & 0o200 for path in (tmp_path / "out").rglob("*"))
    (raw / "a").chmod(0o755)


def test_misspelt_groups_are_refused_others_told(tmp_path: Path) -> None:
    raw, said = make_raw(tmp_path / "raw", a=20, b=20), list[str]()
    rows = [(label, f"{n:03}", f"leaf {n // 2}") for n in range(20) for label in "ab"]
    ids = write_groups(tmp_path / "ids.tsv", [*rows, ("rose", "001", "x")])
    report = split(raw, tmp_path / "out", groups=ids, say=said.append)
    assert "names 1 classes that" in said[0]
    assert "rose" in said[0]
    assert re.search(r"10 leaf ids stand in several classes, such as 'leaf \d+'", said[1])
    assert report.totals["without_id"] == 0
    write_groups(ids, [("A ", "001", "x")])
    with pytest.raises(ValueError, match="class 'A ' is spelt 'a' in the data"):
        split(raw, tmp_path / "other", groups=ids)
    assert not (tmp_path / "other").exists()


def test_folds_leave_a_fifth_to_test() -> None:
    for folds in range(2, 12):
        shares = fold_shares(folds)
        assert shares["test"] * 5 == sum(shares.values())


@pytest.mark.real
@pytest.mark.slow
def test_real_leaves_mostly_stay_together() -> None:
    if not (SHARED / "data" / "leaf_ids.tsv").exists():
        pytest.skip(f"{SHARED / 'data' / 'leaf_ids.tsv'} is absent")
    ids = read_groups(SHARED / "data" / "leaf_ids.tsv")
    photos = [(label, f"{stem}.jpg") for label, stem in ids]
    block = {photos[place]: number for number, run in enumerate(series(photos)) for place in run}
    blocks = defaultdict(set)
    for (label, stem), leaf in ids.items():
        blocks[label, leaf].add(block.get((label, f"{stem}.jpg"), (label, stem)))
    assert sum(len(found) == 1 for found in blocks.values()) / len(blocks) > 0.9


def test_ids_and_likeness_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = draw_raw(tmp_path / "raw")
    for number in range(0, 40, 2):  # file numbers 0 and 3, 40 and 43, …: neighbours, though unlike
        (raw / "a" / f"p {20 * number + 20}.jpg").rename(raw / "a" / f"p {20 * number + 3}.jpg")
    ids = write_groups(tmp_path / "ids.tsv", [("b", f"p {20 * n}", f"leaf {n // 4}") for n in range(40)])
    both = ["--groups", str(ids), "--groups", "near"]
    assert main(["split", str(raw), str(tmp_path / "out"), *both]) == 0
    assert "without id 40" in capsys.readouterr().out
    side = sides(tmp_path / "out")
    assert all(side["a", f"p {40 * n}.jpg"] == side["a", f"p {40 * n + 3}.jpg"] for n in range(20)), "by number"
    assert all(side["b", f"p {80 * n}.jpg"] == side["b", f"p {80 * n + 60}.jpg"] for n in range(10)), "by leaf"
    assert main(["audit", str(tmp_path / "out"), *both]) == 0
    said = capsys.readouterr().out
    assert "across splits" not in said
    assert "are known to show leaves never seen; of the other" in said
    assert "none is a neighbour of train's by file number or likeness" in said
    assert main(["split", str(raw), str(tmp_path / "apart"), "--groups", str(ids)]) == 0
    assert main(["audit", str(tmp_path / "apart"), *both, "--strict"]) == 1
    assert "neighbours across splits" in capsys.readouterr().out
    assert main(["audit", str(tmp_path / "apart"), "--groups", str(ids)]) == 0
    assert "the leaves are not known: --groups near, beside the file" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
@pytest.mark.parametrize("ending", [False, True])
def test_leaf_ids_come_as_csv_too(tmp_path: Path, mark: str, ending: bool) -> None:
    label = "a" if mark == "\t" else f'"a{mark} b"'
    rows = [
        ("class", "stem", "leaf_id"),
        *((label, f"{n:03}{('.jpg', '.JPG')[n % 2] if ending else ''}", str(n // 4)) for n in range(20)),
    ]
    (tmp_path / "ids").write_text("\ufeff" + "".join(mark.join(row) + "\r\n" for row in rows))
    raw = make_raw(tmp_path / "raw", **{label.strip('"'): 20})
    assert split(raw, tmp_path / "out", groups=tmp_path / "ids").totals["without_id"] == 0


def test_two_files_of_ids_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", str(tmp_path), str(tmp_path / "out"), "--groups", "a.tsv", "--groups", "b.tsv"]) == 2
    assert "one file at most" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_missing_locks_only_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    monkeypatch.setattr("fcntl.flock", failing(fault))
    said: list[str] = []
    split(make_raw(tmp_path / "raw", a=5), tmp_path / "out", say=said.append)
    assert "has no locks" in said[0]
    monkeypatch.setattr("fcntl.flock", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        split(tmp_path / "raw", tmp_path / "other")


@pytest.mark.parametrize("fault", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP])
def test_folds_are_copied_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    raw = make_raw(tmp_path / "raw", a=20)
    split(raw, tmp_path / "linked", folds=2)
    monkeypatch.setattr(os, "link", failing(fault))
    split(raw, tmp_path / "copied", folds=2)
    assert tree(tmp_path / "copied") == tree(tmp_path / "linked")
    monkeypatch.setattr(os, "link", failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        split(raw, tmp_path / "full", folds=2)


def failing(fault: int) -> Callable[..., None]:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(fault, os.strerror(fault))

    return fail
