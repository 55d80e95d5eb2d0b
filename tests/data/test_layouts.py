"""Folders that are not quite train, val and test: each gets the advice that fits, in every command alike."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.data.index import scan
from leafdist.data.kept_index import open_index
from leafdist.data.layouts import one_form, split_of
from leafdist.system.console import command
from tests.helpers.raw_folders import make_raw, names


def make_split(root: Path) -> Path:
    for part in ("train", "val", "test"):
        make_raw(root / part, rust=2, scab=2)
    return root


def renamed(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / old).rename(root / new)


def below(root: Path) -> None:
    shutil.copytree(root, root / "leaf")
    for part in ("train", "val", "test"):
        shutil.rmtree(root / part)


def unsplit(root: Path) -> None:
    for part in ("train", "val"):
        shutil.rmtree(root / part)
    (root / "test").rename(root / "x")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "valid": (renamed("val", "valid"), r"mv .*/valid'? .*/val"),
    "Validation": (renamed("val", "Validation"), r"mv .*/Validation'? .*/val"),
    "val_set": (renamed("val", "val_set"), r"mv .*/val_set'? .*/val"),
    "dev": (renamed("val", "dev"), r"mv .*/dev'? .*/val"),
    "no val": (lambda root: shutil.rmtree(root / "val"), "--layout split/class"),
    "case": (renamed("val/rust", "val/Rust"), r"'Rust' is spelt 'rust' in train.*mv .*/val/Rust'? .*/val/rust"),
    "blank": (renamed("val/rust", "val/rust "), r"'rust ' is spelt 'rust' in train"),
    "two spellings": (lambda root: make_raw(root / "train", Rust=2), "'Rust' and 'rust' differ by case"),
    "new class": (renamed("val/rust", "val/rot"), "class 'rot' is not a class of train"),
    "class gone": (lambda root: shutil.rmtree(root / "val" / "rust"), "lacks the class 'rust' of train"),
    "deeper": (below, r"it lies in .*/leaf. Name that folder"),
    "raw": (unsplit, "not split into train, val and test"),
    "one class": (lambda root: shutil.rmtree(root / "train" / "scab"), "takes two"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_wrong_layouts_get_fitting_advice(kind: str, tmp_path: Path) -> None:
    change, advice = FAULTS[kind]
    change(root := make_split(tmp_path / "splitted"))

    def open_all(*, keep: bool) -> None:
        for split, classes in (("train", None), ("val", ("rust", "scab"))):
            open_index(root, split, classes, tmp_path / "cache") if keep else scan(root, split, classes)

    for keep in (False, True):
        with pytest.raises(ValueError, match=advice) as error:
            open_all(keep=keep)
        assert "emove" not in str(error.value), "nobody is told to remove photos"


@pytest.mark.parametrize("kind", ["valid", "Validation", "dev"])
def test_audit_says_the_same(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[kind][0](root := make_split(tmp_path / "splitted"))
    assert main(["audit", str(root)]) == 2
    assert command("mv", root / kind, root / "val") in capsys.readouterr().err


@pytest.mark.parametrize("folder", [False, True])
def test_class_may_lack_test_photos(folder: bool, tmp_path: Path) -> None:
    root = make_split(tmp_path / "splitted")
    shutil.rmtree(root / "test" / "rust")
    if folder:
        (root / "test" / "rust").mkdir()
    said: list[str] = []
    for _ in range(2):
        found = open_index(root, "test", ("rust", "scab"), tmp_path / "cache", said.append)
        assert list(found.names) == [f"scab/{name}" for name in names(root, "test", "scab")]
        assert found.labels.tolist() == [1, 1]
    assert not said, "the index is kept"
    shutil.rmtree(root / "test" / "scab")
    make_raw(root / "test", scab=0)
    with pytest.raises(ValueError, match="holds no photo"):
        scan(root, "test", ("rust", "scab"))


@pytest.mark.parametrize(
    ("split", "folders"),
    [
        ("train", ("Train", "training_set")),
        ("val", ("valid", "VALIDATION", "val-images", "dev")),
        ("test", ("testing", "Test Data")),
        ("", ("rust", "healthy", "validated rust", "tester")),
    ],
)
def test_other_names_of_splits(split: str, folders: tuple[str, ...]) -> None:
    assert {split_of(folder) for folder in folders} == {split}


def test_one_form_ignores_case_and_blanks() -> None:
    names = ("Leaf mold", "leaf  MOLD ", "leaf_mold", "Leaf\u00a0mold", "leaf-mold")
    assert {one_form(name) for name in names} == {"leaf mold"}
    assert one_form("1_1") != one_form("11")
