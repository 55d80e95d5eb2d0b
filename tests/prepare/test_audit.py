"""The audit: each fault is named with its files, a clean folder is left in peace, and the report stands alone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from leafdist.__main__ import main
from leafdist.prepare.audit.audit import audit
from leafdist.prepare.audit.audit_report import Report, page
from leafdist.prepare.leaf import draw_leaf
from leafdist.prepare.near import VIEWS, Pairs, chains, hashes, join, near_duplicates
from leafdist.prepare.sample import CROPS, DISEASES
from tests.helpers.painted_masks import paint_masks
from tests.helpers.photos import CLASSES, draw

LABELS = ("Apple___healthy", "Grape___Black_rot", "Tomato___Early_blight")


def leaf(number: int, label: str = LABELS[0], side: int = 64) -> Image.Image:
    crop, disease = label.split("___")
    return draw_leaf(CROPS[crop], DISEASES[disease], side, np.random.default_rng((LABELS.index(label), number)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes with 6, 2 and 2 leaves."""
    for label in LABELS:
        for number in range(10):
            folder = tmp_path / "splitted" / ("train" if number < 6 else "val" if number < 8 else "test") / label
            folder.mkdir(parents=True, exist_ok=True)
            leaf(number, label).save(folder / f"{number:02}.jpg", quality=90)
    return tmp_path / "splitted"


def found(report: Report, kind: str) -> list[set[str]]:
    return [set(files) for finding in report.findings if finding.kind == kind for files in finding.files]


def test_clean_folder_has_no_findings(root: Path) -> None:
    report = audit(root)
    assert report.findings == []
    assert not report.failed
    assert report.totals == {"train": 18, "val": 6, "test": 6}
    assert "the leaves are not known: --groups near" in report.verdict[0]
    assert audit(root.parent).root == str(root), "the one folder that it holds"


def test_bad_files_are_named_with_reason(root: Path) -> None:
    folder = root / "train" / LABELS[0]
    (folder / "00.jpg").write_bytes((folder / "00.jpg").read_bytes()[:900])
    (folder / "01.jpg").write_bytes(b"no photo")
    leaf(2).save(folder / "02.jpg", "PNG")
    leaf(3).resize((20, 64)).save(folder / "03.jpg")
    leaf(4).convert("CMYK").save(folder / "04.jpg")
    leaf(0).convert("LAB").save(root / "val" / LABELS[0] / "lab.tif")
    turned = Image.Exif()
    turned[0x0112] = 6
    leaf(5).save(folder / "05.jpg", exif=turned)
    (folder / ".hidden.jpg").touch()
    (root / "val" / "notes.txt").touch()
    report = audit(root)
    name = f"train/{LABELS[0]}"
    expected = {
        "truncated": "00.jpg", "undecodable": "01.jpg", "wrong ending": "02.jpg", "tiny": "03.jpg",
        "odd size": "03.jpg", "colour mode": "04.jpg", "EXIF rotation": "05.jpg",
    }  # fmt: skip
    assert found(report, "refused mode") == [{f"val/{LABELS[0]}/lab.tif"}]
    for kind, file in expected.items():
        assert found(report, kind) == [{f"{name}/{file}"}], kind
    assert found(report, "other entries") == [{f"{name}/.hidden.jpg"}, {"val/notes.txt"}]
    assert report.failed
    assert "a training would stop" in report.text()


def test_class_list_faults_are_named(root: Path) -> None:
    (root / "train" / "Rose___rust").mkdir()
    shutil.copytree(root / "val" / LABELS[1], root / "val" / LABELS[1].upper())
    report = audit(root)
    assert {f"train/{LABELS[1].upper()}/", "val/Rose___rust/"} <= {
        f"{file}/" for group in found(report, "missing class") for file in group
    }
    assert found(report, "empty class") == [{"train/Rose___rust"}]
    assert found(report, "class names") == [{LABELS[1], LABELS[1].upper()}]


def test_duplicates_are_sorted_by_location(root: Path) -> None:
    train, test = root / "train", root / "test"
    shutil.copyfile(train / LABELS[0] / "00.jpg", test / LABELS[0] / "copy.jpg")
    shutil.copyfile(train / LABELS[0] / "01.jpg", train / LABELS[0] / "double.jpg")
    leaf(2).rotate(90).save(train / LABELS[1] / "conflict.jpg", quality=60)
    ImageOps.mirror(leaf(3, LABELS[2])).save(test / LABELS[2] / "mirrored.jpg", quality=60)
    report = audit(root)
    a, b, c = LABELS
    assert found(report, "exact duplicates across splits") == [{f"train/{a}/00.jpg", f"test/{a}/copy.jpg"}]
    assert found(report, "exact duplicates within a class") == [{f"train/{a}/01.jpg", f"train/{a}/double.jpg"}]
    assert found(report, "near-duplicates across classes") == [{f"train/{a}/02.jpg", f"train/{b}/conflict.jpg"}]
    assert found(report, "near-duplicates across splits") == [{f"train/{c}/03.jpg", f"test/{c}/mirrored.jpg"}]
    assert report.seen["test"].twins == 2
    assert "2 of 8 photos have a twin in train" in report.text()


def write_ids(path: Path, leaf_of: dict[str, str], label: str = LABELS[0]) -> Path:
    rows = ["class\tstem\tleaf_id", *(f"{label}\t{stem}\t{leaf}" for stem, leaf in leaf_of.items())]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_leaves_in_two_splits_are_counted(root: Path, tmp_path: Path) -> None:
    ids = write_ids(tmp_path / "ids.tsv", {"00": "x", "08": "x", "09": "y", "01": "z"})
    report = audit(root, ids)
    assert found(report, "leaves across splits") == [{f"train/{LABELS[0]}/00.jpg", f"test/{LABELS[0]}/08.jpg"}]
    assert (report.seen["test"].known, report.seen["test"].leaves) == (2, 1)
    assert "accuracy on test measures memory: 1 of 2 photos" in report.text()


def test_ambiguous_leaves_are_warnings(root: Path, tmp_path: Path) -> None:
    ids = write_ids(tmp_path / "ids.tsv", {"00": "x", "01": "x"})
    with ids.open("a") as file:
        file.write(f"{LABELS[1]}\t08\tx\nRose___rust\t00\tx\n")
    report = audit(root, ids)
    first, second, third = f"train/{LABELS[0]}/00.jpg", f"train/{LABELS[0]}/01.jpg", f"test/{LABELS[1]}/08.jpg"
    assert found(report, "leaf ids in two classes") == [{first, second, third}]
    assert found(report, "leaves across splits") == []
    assert found(report, "unknown classes in groups") == [{"Rose___rust"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class\tstem\n", "lacks the column 'leaf_id'"),
        ("class\tstem\tleaf_id\napple___healthy\t00\tx\n", "is spelt"),
        ("class\tstem\tleaf_id\nApple___healthy\t99\tx\n", "names none of the 30 photos"),
        ("\ufeffclass\tstem\tleaf_id\nApple___healthy\t99\tx\n", "names none of the 30 photos"),  # as Excel writes it
    ],
)
def test_wrong_groups_file_is_refused(root: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ids.tsv").write_text(text)
    with pytest.raises(ValueError, match=message):
        audit(root, tmp_path / "ids.tsv")


def test_telltale_background_is_measured(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for label in range(3):
        (tmp_path / str(label)).mkdir()
        for number in range(60):
            pixels = random.integers(0, 200, (32, 32, 3), np.uint8)
            pixels[[0, -1]] = pixels[:, [0, -1]] = (40 * label, 90, 90)
            Image.fromarray(pixels).save(tmp_path / str(label) / f"{number}.png")
    border, colour = audit(tmp_path).probes
    assert border.accuracy > 0.95
    assert border.majority == pytest.approx(1 / 3, abs=0.15)
    assert border.photos == 36
    assert colour.what != border.what


def test_masks_show_what_drawing_brings(tmp_path: Path) -> None:
    """Borders of the class's colour, behind discs; in each class one photo has no trusted mask."""
    root = draw(tmp_path, {"train": 40, "test": 20})
    for split in ("train", "test"):
        paint_masks(root, 16, split)
    report = audit(root)
    _, _, before, after = report.probes
    assert (before.photos, after.photos) == (57, 57)
    assert before.accuracy > 0.95
    assert after.accuracy < after.majority + 0.2
    assert f"Of 57 photos with a leaf mask: {before.accuracy:.1%}, and {after.accuracy:.1%} with the" in report.text()
    (root / "test" / CLASSES[0] / "000.png").unlink()
    assert len(audit(root).probes) == 2, "masks of other photos, and none left to judge"


def test_command_writes_json_and_offline_page(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        shutil.copyfile(root / "train" / LABELS[0] / f"0{number}.jpg", root / "test" / LABELS[0] / f"<&{number}.jpg")
    out = ["--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html")]
    assert main(["audit", str(root), *out]) == 0
    assert main(["audit", str(root), "--strict"]) == 1
    assert "and 2 more" in capsys.readouterr().out
    values = json.loads((tmp_path / "a.json").read_text())
    assert len(values["findings"][0]["files"]) == 5
    html = (tmp_path / "a.html").read_text()
    assert html.count("data:image/jpeg;base64,") == 10
    assert "&lt;&amp;4.jpg" in html
    assert "<&" not in html
    assert not re.search(r"""(src|href)=(?!"(?:data:|#))|https?://|<script|@import|url\(""", html)


def test_broken_photo_has_no_picture(root: Path) -> None:
    (root / "train" / LABELS[0] / "01.jpg").write_bytes(b"no photo")
    assert "no picture" in page(audit(root))


def test_folder_without_photos_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Apple").mkdir()
    assert main(["audit", str(tmp_path)]) == 2
    assert "holds no photo" in capsys.readouterr().err


def test_one_photo_twice_completes(tmp_path: Path) -> None:
    for label in LABELS[:2]:
        (tmp_path / "raw" / label).mkdir(parents=True)
        leaf(0).save(tmp_path / "raw" / label / "a.jpg", quality=90)
    assert audit(tmp_path / "raw").failed, "one photo under two labels"


def test_every_view_undoes_its_transform() -> None:
    gray = np.random.default_rng(0).normal(size=(1, 32, 32)).astype(np.float32)
    turns = [
        gray, gray[:, :, ::-1], gray[:, ::-1], np.rot90(gray, 2, (1, 2)), gray.transpose(0, 2, 1),
        np.rot90(gray, -1, (1, 2)), np.rot90(gray, 1, (1, 2)), np.rot90(gray, 2, (1, 2)).transpose(0, 2, 1),
    ]  # fmt: skip
    for view, turned in zip(VIEWS, turns, strict=False):
        assert np.array_equal(view.of(gray), turned), view.name
        assert np.allclose(hashes(gray, view), hashes(turned), atol=1e-5)


def test_single_colour_photo_has_no_twin() -> None:
    assert len(near_duplicates(np.full((3, 32, 32), 7, np.float32), workers=1).first) == 0


def test_pairs_do_not_depend_on_workers() -> None:
    gray = np.stack([np.asarray(leaf(k % 7).convert("L").resize((32, 32)), np.float32) for k in range(20)])
    alone, two = near_duplicates(gray, 1), near_duplicates(gray, 2)
    for field in Pairs._fields:
        assert np.array_equal(getattr(alone, field), getattr(two, field))
    groups = join(20, chains(zip(alone.first.tolist(), alone.second.tolist(), strict=True)))
    assert [int(group) for group in groups] == [k % 7 for k in range(20)]
