"""labels.tsv while raw photos are split, and in an audit."""

import json
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.data.labels import LabelCounts, LabelRow
from leafdist.prepare.audit.audit import audit
from leafdist.prepare.audit.audit_report import Report, page
from leafdist.prepare.audit.decided import decide
from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.folder_listing import Photo
from leafdist.prepare.split import split
from leafdist.system.files import sha256
from tests.helpers.raw_folders import draw_raw, make_raw, names, write_groups


def write(path: Path, *rows: str) -> Path:
    """Rows as words with blanks between them."""
    path.write_text("".join("\t".join((row + "  ").split(" ")[:3]) + "\n" for row in ("path action class", *rows)))
    return path


def contents(root: Path, label: str) -> dict[str, str]:
    return {
        photo: (root / part / label / photo).read_text()
        for part in ("train", "val", "test")
        for photo in names(root, part, label)
    }


def test_split_moves_and_drops(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=10, b=10, c=10)
    rows = ("a/000.jpg move b", "b/000.jpg move a", "a/001.JPG move b", "c/001.JPG drop", "c/002.jpg keep a")
    labels = write(tmp_path / "labels.tsv", *rows)
    report = split(raw, tmp_path / "out", labels=labels)
    found = {label: contents(tmp_path / "out", label) for label in "abc"}
    assert found["a"]["000.jpg"] == "b 0", "two photos of one name change places"
    assert found["b"]["000.jpg"] == "a 0"
    assert (found["b"]["001.JPG"], found["b"]["a__001.JPG"]) == ("b 1", "a 1"), "a name that recurs"
    assert [len(found[label]) for label in "abc"] == [9, 11, 9]
    assert "001.JPG" not in found["c"]
    assert report.labels == LabelCounts(sha256(labels), keep=1, move=3, drop=1)
    assert json.loads((tmp_path / "out" / "split.json").read_text())["labels"]["move"] == 3
    split(raw, tmp_path / "folds", labels=labels, folds=2)
    assert json.loads((tmp_path / "folds" / "fold-1" / "split.json").read_text())["labels"]["drop"] == 1


def test_moved_photos_stay_with_their_leaf(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=40, b=40)
    labels = write(tmp_path / "labels.tsv", "a/003.JPG move b", "a/025.JPG move b")
    groups = write_groups(tmp_path / "ids.tsv", [("a", f"{n:03}", f"leaf {n // 4}") for n in range(40)])
    for near in (False, True):
        out = tmp_path / f"out-{near}"
        report = split(raw, out, labels=labels, groups=groups, near=near, say=lambda _: None)
        photos = [path for path in out.rglob("*") if path.suffix.lower() == ".jpg"]
        sides = {f"{path.parent.name}/{path.name}": path.parts[-3] for path in photos}
        for leaf in (
            ["a/000.jpg", "a/001.JPG", "a/002.jpg", "b/a__003.JPG"],
            ["a/024.jpg", "b/a__025.JPG", "a/026.jpg"],
        ):
            assert len({sides[name] for name in leaf}) == 1
        assert report.totals["without_id"] == 40


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a/000.jpg throw", "line 2: the action of a/000.jpg is 'throw'"),
        ("a/000.jpg move d", "line 2: a/000.jpg is moved to 'd', which is no class here. Name one of a, b"),
        ("val/a/000.jpg keep", "line 2: raw photos have no splits. Write a/000.jpg, or a/val__000.jpg"),
        ("a/absent.jpg keep", "line 2: .*raw holds no photo a/absent.jpg"),
        ("000.jpg keep", "line 2: .*raw holds no photo 000.jpg"),
    ],
)
def test_wrong_rows_split_nothing(row: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = make_raw(tmp_path / "raw", a=5, b=5)
    labels = write(tmp_path / "labels.tsv", row)
    with pytest.raises(ValueError, match=message):
        split(raw, tmp_path / "out", labels=labels)
    assert not (tmp_path / "out").exists()
    assert main(["split", str(raw), str(tmp_path / "out"), "--labels", str(labels)]) == 2
    assert str(labels) in capsys.readouterr().err


def kinds(report: Report) -> dict[str, Finding]:
    return {finding.kind: finding for finding in report.findings}


def test_audit_trusts_what_was_decided(tmp_path: Path) -> None:
    raw = draw_raw(tmp_path / "raw")  # photo 3 of a and photo 5 of b look the same
    pair = ("a/p 60.jpg", "b/p 100.jpg")
    conflict = "near-duplicates across classes"
    assert kinds(audit(raw))[conflict].files == [pair]
    labels = tmp_path / "labels.csv"
    for action in ("keep", "move", "drop"):
        labels.write_text(f"path,action,class\n{pair[0]},{action},b\nb/absent.jpg,keep,\n{pair[1]},move,z\n")
        report = audit(raw, labels=labels)
        found = kinds(report)
        assert conflict not in found
        assert "near-duplicates within a class" in found, "7 and 27 of a are told as before"
        assert (found["labels honoured"].files, found["labels honoured"].level) == ([(pair[0],)], "note")
        assert found["labels ignored"].remarks == ["there is no such photo", "there is no class z"]
        assert "labels honoured" in page(report)
    labels.write_text(f"path,action,class\n{pair[0]},move,a\n")
    assert conflict in kinds(audit(raw, labels=labels)), "moved to where it lies"


def test_second_row_is_ignored() -> None:
    rows = [LabelRow("a/1.jpg", *split_and_action, "", "") for split_and_action in (("", "drop"), ("val", "keep"))]
    decided, findings = decide([Photo("val", "a", "1.jpg")], {"a"}, Path("labels.tsv"), rows)
    assert decided == {0: ""}
    assert {one.kind: one.remarks for one in findings} == {
        "labels honoured": ["drop"],
        "labels ignored": ["an earlier row is of the same photo"],
    }
