"""`leafdist split --few`: a train part of N photos per class, whole groups where they fit, and test without a twin."""

import json
from itertools import chain
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.prepare.partition import Photo, deal_few
from tests.helpers.raw_folders import make_raw, names, write_groups


def test_whole_groups_fill_train_first() -> None:
    sizes = {"eleven": 11, "five": 5, "seven": 7, "four": 4}
    photos = {group: [f"{group}{number}" for number in range(size)] for group, size in sizes.items()}
    groups = {("a", file): group for group, files in photos.items() for file in files}
    dealt = deal_few({"a": [*chain(*photos.values())]}, groups, 10)["a"]
    assert dealt["train"] == [*photos["five"], *photos["four"], "seven0"], "the other six go nowhere"
    assert dealt["test"] == photos["eleven"]


def test_smallest_group_is_kept_for_test() -> None:
    photos = [f"{number}" for number in range(9)]
    groups = {("a", file): int(file) > 3 for file in photos}  # four photos, which fit, and five
    assert deal_few({"a": photos}, groups, 5)["a"] == {"train": photos[4:], "test": photos[:4]}
    with pytest.raises(ValueError, match=r"--few 6: class 'a' has 9 photos in 2 groups, and none is left to test"):
        deal_few({"a": photos}, groups, 6)


def test_group_fits_in_all_its_classes() -> None:
    photos = {label: [f"{label}{number}" for number in range(3)] for label in "ab"}
    mixed = dict.fromkeys([("a", "a0"), ("b", "b0"), ("b", "b1")], "two of b")
    assert deal_few(photos, mixed, 1) == {
        "a": {"train": ["a1"], "test": ["a0", "a2"]},
        "b": {"train": ["b2"], "test": ["b0", "b1"]},
    }


@pytest.mark.parametrize("number", range(1, 7))
def test_groups_across_classes_stay_apart(number: int) -> None:
    photos = {label: [f"{label}{k:02}" for k in range(24)] for label in "abc"}
    groups: dict[Photo, int] = {
        (label, file): place // size
        for size, (label, files) in enumerate(photos.items(), 2)
        for place, file in enumerate(files)
    }
    dealt = deal_few(photos, groups, number)
    sides = [{groups[label, file] for label in photos for file in dealt[label][part]} for part in ("train", "test")]
    assert not sides[0] & sides[1]
    for label, parts in dealt.items():
        assert len(parts["train"]) == number
        left = {*photos[label]} - {*chain(*parts.values())}
        assert {groups[label, file] for file in left} <= sides[0]


def test_few_are_split_on_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, out = make_raw(tmp_path / "raw", a=16, b=9), tmp_path / "out"
    ids = write_groups(tmp_path / "ids.tsv", [("a", f"{n:03}", f"leaf {n // 4}") for n in range(16)])
    asked = ["split", str(raw), "--few", "6", "--groups", str(ids)]
    assert main([*asked, str(out)]) == 0
    said = capsys.readouterr().out
    assert "train 12, test 11, left over 2, without id 9 (more of the groups in train)" in said
    assert f"--data.extra '[{out}:0.33]'" in said
    assert sorted(path.name for path in out.iterdir()) == ["split.json", "test", "train"]
    report = json.loads((out / "split.json").read_text())
    assert (report["few"], "ratios" in report) == (6, False)
    assert report["classes"]["a"] == {"train": 6, "test": 8, "left_over": 2, "skipped": 0, "without_id": 0}
    assert len(names(out, "train", "a")) == len(names(out, "train", "b")) == 6
    for seed, same in (("0", True), ("1", False)):
        assert main([*asked, str(tmp_path / seed), "--seed", seed]) == 0
        again = json.loads((tmp_path / seed / "split.json").read_text())
        assert (again["digests"] == report["digests"]) == same


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--few", "0"], "--few 0: must be at least 1"),
        (["--few", "3", "--folds", "2"], "--few 3 with --folds 2"),
        (["--few", "3", "--order", "listed"], "--few 3 with --order listed"),
        (["--few", "8"], "--few 8: class 'b' has 8 photos in 8 groups, and none is left to test. Lower --few"),
    ],
)
def test_contradictions_with_few_are_refused(
    given: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = make_raw(tmp_path / "raw", a=16, b=8)
    assert main(["split", str(raw), str(tmp_path / "out"), *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
