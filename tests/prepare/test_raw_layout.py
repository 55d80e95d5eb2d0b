"""Layouts of raw folders: each photo is dealt to the class that its folders name, or it is said why not."""

from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.prepare.audit.folder_listing import list_folder
from leafdist.prepare.raw_layout import find_photos, is_session
from leafdist.prepare.split import split
from tests.helpers.raw_folders import names

CROPS = ("apple/healthy", "apple/scab", "tomato/Healthy", "tomato/leaf mold")


def lay_out(root: Path, *folders: str, photos: int = 5) -> Path:
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for photo in range(photos):
            (root / folder / f"{number}{photo}.jpg").write_bytes(f"{folder} {photo}".encode())
    return root


@pytest.mark.parametrize(
    ("folders", "layout", "classes"),
    [
        (("rust", "scab"), None, ["rust", "scab"]),
        (("x/y/rust", "x/y/scab", "__MACOSX/x/y"), None, ["rust", "scab"]),
        (("photos/rust", "photos/scab", "@eaDir/rust"), None, ["rust", "scab"]),
        (CROPS, None, ["apple___healthy", "apple___scab", "tomato___Healthy", "tomato___leaf mold"]),
        (tuple(f"{name}/2024-05-01" for name in CROPS), None, ["apple___healthy", "apple___scab"]),
        (("rust/2024-05-01", "rust/2024-05-02", "scab/2024-05-01"), None, ["rust", "scab"]),
        (("rust/20240501_1200", "scab/day 3", "scab/Session2"), None, ["rust", "scab"]),
        (("rust/images", "scab/IMG"), None, ["rust", "scab"]),
        (("rust", "rust/2024", "scab"), None, ["rust", "scab"]),
        (("2024-05-01/rust", "2024-05-02/rust", "2024-05-02/scab"), None, ["rust", "scab"]),
        (("healthy/camera a", "healthy/phone", "rust/phone"), None, ["healthy", "rust"]),
        (("Apple___scab/a", "Apple___rot/b"), None, ["Apple___rot", "Apple___scab"]),
        (("only/2024-05-01", "only/2024-05-02"), None, ["only"]),
        (("a/0", "a/1", "b/0"), "class/any", ["a", "b"]),
        (("a/0", "a/1", "b/0"), "crop/disease", ["a___0", "a___1", "b___0"]),
        (("train/rust", "valid/rust", "test/scab"), "split/class", ["rust", "scab"]),
        (("farm/apple/3/scab", "farm/apple/4/rot"), "crop/any/disease", ["apple___rot", "apple___scab"]),
    ],
)
def test_layouts_give_every_photo_a_class(
    tmp_path: Path, folders: tuple[str, ...], layout: str | None, classes: list[str]
) -> None:
    raw = lay_out(tmp_path / "raw", *folders)
    found = find_photos(raw, layout)
    assert list(found.names)[: len(classes)] == classes
    assert not any("__" in file for files in found.names.values() for file in files), "files keep their names"
    report = split(raw, tmp_path / "out", layout=layout, say=lambda line: None)
    counted = sum(report.totals[part] for part in ("train", "val", "test"))
    assert counted == 5 * sum("__MACOSX" not in folder and "@" not in folder for folder in folders)
    contents = {path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")}
    assert len(contents) == counted, "each photo once"
    listing = list_folder(raw, layout)
    assert len(listing.photos) == counted
    assert all((listing.root / photo.path).is_file() for photo in listing.photos)
    assert not listing.others


@pytest.mark.parametrize(
    ("folders", "layout", "message"),
    [
        (("a/0", "a/1", "b/0"), None, "--layout class/any .*--layout crop/disease .'a___0'"),
        (("color/rust", "color/scab", "gray/rust"), None, "--layout any/class"),
        (("train/rust", "Validation/rust", "test/rust"), None, "is split already.*--layout split/class"),
        (("2024-05-01", "2024-05-02"), None, "names of dates or sessions"),
        (("rust/x", "scab"), None, "--layout class"),
        (("rust", "scab", "images"), None, "'images' lies beside class folders"),
        (("rust", "scab", "2024-05-01"), None, "'2024-05-01' lies beside class folders"),
        (("rust", "Rust "), None, "'Rust ' and 'rust' differ by case"),
        (("leaf mold", "Leaf_Mold"), None, "differ by case"),
        (("rust",), "crop/disease", "no photo lies 2 folders deep"),
        (("rust",), "date", "one word per folder level"),
        (("rust",), "class//x", "one word per folder level"),
    ],
)
def test_ambiguous_layouts_name_the_way(
    tmp_path: Path, folders: tuple[str, ...], layout: str | None, message: str
) -> None:
    raw = lay_out(tmp_path / "raw", *folders)
    with pytest.raises(ValueError, match=message) as error:
        split(raw, tmp_path / "out", layout=layout, say=lambda line: None)
    assert "emove" not in str(error.value), "nobody is told to remove photos"
    assert not (tmp_path / "out").exists()


def test_recurring_file_names_keep_apart(tmp_path: Path) -> None:
    for date in ("2024-05-01", "2024-05-02"):
        lay_out(tmp_path / "raw", f"rust/{date}")
    said: list[str] = []
    split(tmp_path / "raw", tmp_path / "out", order="listed", say=said.append)
    assert names(tmp_path / "out", "train", "rust") == [
        f"2024-05-0{n}__0{k}.jpg" for n, k in [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0)]
    ]
    assert "file names recur" in said[0]


def test_photos_outside_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = lay_out(tmp_path / "raw", "rust", "rust/augmented", "scab")
    (raw / "stray.jpg").touch()
    assert main(["split", str(raw), str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "left out: 6 photos that lie outside of the class folders, such as stray.jpg" in out
    assert "train 6, val 2, test 2" in out


@pytest.mark.parametrize(
    ("names", "session"),
    [
        (("2024", "01.05.2024", "May 3", "images", "plot-7", "20240501"), True),
        (("3", "rust 3", "healthy", "leaf", "leaf mold", "12345"), False),
    ],
)
def test_names_of_sessions_are_known(names: tuple[str, ...], session: bool) -> None:
    assert [is_session(name) for name in names] == [session] * len(names)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://host/leaf.zip", "is an address"),
        ("s3://bucket/x", "is an address"),
        ("leaf.zip", "leafdist fetch leaf.zip"),
        ("leaf.7z", "an archive"),
        ("list.txt", "is a file"),
    ],
)
def test_what_is_no_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if ":" not in source:
        Path(source).touch()
    for command in (["split", source, "out"], ["audit", source]):
        assert main(command) == 2
        assert message in capsys.readouterr().err
