"""Splitting without leaf ids, into folds, by links: what belongs together stays together."""

import json
import re
from collections import defaultdict
from itertools import chain
from pathlib import Path

import pytest

from leafdist.config.schema import DataConfig
from leafdist.data.folds import fold_root
from leafdist.data.groups import read_groups
from leafdist.data.index import scan
from leafdist.data.open import has_split
from leafdist.data.split_report import Grouping
from leafdist.distributed.runtime import Runtime
from leafdist.prepare.audit.audit import audit
from leafdist.prepare.grouping import LARGEST, parse, series
from leafdist.prepare.partition import deal, fold_shares
from leafdist.prepare.split import split
from tests.helpers.files import tree
from tests.helpers.paths import SHARED
from tests.helpers.raw_folders import draw_raw, make_raw, names, sides, write_groups

FOLDS = 4


@pytest.mark.parametrize(
    ("file", "beginning", "number"),
    [
        ("0a1b2c3d-9a9a-4e4e-8b8b-0123456789ab___RS_HL 0607 copy 2.jpg", "RS_HL", 607),
        ("9a69a102-85ea-cb4c-8341-01718e462bf3___GH_HL Leaf 173.5.JPG", "GH_HL Leaf", 173),
        ("UF.GRC_YLCV_Lab 02541.JPG", "UF.GRC_YLCV_Lab", 2541),
        ("IMG_20240501.jpg", "IMG", 20240501),
        ("0012.png", "", 12),
        ("DSC00412.JPG", "DSC", 412),
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
    assert [len(run) for run in series_of(*range(1, 13), *range(14, 26), more=34)] == [12, 12]
    assert [len(run) for run in series_of(*range(1, 9), more=9)] == [4, 4], "a quarter of a small class"
    cut = {
        number // 4 for run in series_of(*range(48), more=2) for number in (int(run[0].split(".")[0]),) if number % 4
    }
    assert len(cut) <= 4, "of twelve leaves of four photos each"
    lengths = [len(run) for run in series_of(*range(5000), more=2)]
    assert max(lengths) <= LARGEST
    assert min(lengths) >= LARGEST // 4


def test_series_differ_by_class_and_prefix() -> None:
    photos = [("a", "x 1.jpg"), ("a", "x 2.jpg"), ("a", "y 3.jpg"), ("b", "x 3.jpg")]
    photos += [(label, f"{'z' * k}.jpg") for label in "ab" for k in range(1, 30)]
    assert series(photos) == [[0, 1], [2], [3]]


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
    assert not any("ratios" in json.loads((root / "split.json").read_text()) for root in roots)
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
    (tmp_path / "raw" / "fold-old").mkdir()
    assert fold_root(tmp_path / "raw", None) == tmp_path / "raw"
    with pytest.raises(ValueError, match="it holds none"):
        fold_root(tmp_path / "raw", 0)
    absent = DataConfig(root=str(tmp_path / "absent"), fold=0)
    assert not has_split(absent, "test", Runtime()), "an export of such a run takes drawn photos"
    assert len(scan(fold_root(tmp_path / "out", 1), "val")) == 16
    assert DataConfig().fold is None
    with pytest.raises(ValueError, match="audit one of them"):
        audit(tmp_path / "out")


def test_misspelt_groups_are_refused_others_told(tmp_path: Path) -> None:
    raw, said = make_raw(tmp_path / "raw", a=20, b=20), list[str]()
    rows = [(label, f"{n:03}", f"leaf {n // 2}") for n in range(20) for label in "ab"]
    ids = write_groups(tmp_path / "ids.tsv", [*rows, ("rose", "001", "x")])
    report = split(raw, tmp_path / "out", groups=ids, say=said.append)
    assert "names 1 class that" in said[0]
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
