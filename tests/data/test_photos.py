"""What a photo is: the first bytes say it, to every command alike."""

import os
import shutil
import socket
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from leafdist.__main__ import main
from leafdist.data import kept_index, photos
from leafdist.data.first_bytes import photo_format
from leafdist.data.index import scan
from leafdist.data.kept_index import open_index
from leafdist.data.photos import in_words, list_images
from leafdist.data.walk import photos_below
from leafdist.prepare.audit.folder_listing import list_folder
from leafdist.prepare.split import split
from leafdist.system import files
from tests.helpers.odd_photos import FORMATS, PIXELS

NAMES = (
    "a.jfif",
    "b.JPE",
    "c",
    "d.jpg?w=300&h=2",
    "e.JPG",
    "f.gif",
    "g.mpo",
    "h.avif",
    "i.pgm",
    "j.jpg_large",
    "k.dat",
)
UNREADABLE = ("l.jpg", "m.heic", "n.PNG?v=1.2", "o.bin")  # empty but for the last, which begins as HEIC
OTHERS = {".txt": 2, ".dng": 1, ".db": 1, "other file": 3, "FIFO": 1, "socket": 1, "folder": 1, "broken link": 3}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A class with every kind of entry, beside a plain one."""
    folder, image = tmp_path / "raw" / "leaf", Image.fromarray(PIXELS)
    for name in ("leaf", "plain"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    for number in range(5):
        image.save(tmp_path / "raw" / "plain" / f"{number}.png")
    forms = {".gif": "GIF", ".mpo": "MPO", ".avif": "AVIF", ".pgm": "PPM", ".dat": "TIFF"}
    for name in NAMES:
        image.save(folder / name, forms.get(Path(name).suffix, "JPEG"))
    for name in UNREADABLE:
        (folder / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0" if name == "o.bin" else b"")
    image.save(folder / "raw.dng", "TIFF")
    (folder / "1.txt").write_text("BM, GIF and P5 12 are names of formats")
    (folder / "2.txt").write_text("II*")
    for name in ("Thumbs.db", "noending", "x.\udcff", "x.\x1b[31m", ".DS_Store"):
        (folder / name).write_bytes(b"\1\0")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(folder / "socket.jpg"))
    (folder / "below.jpg").mkdir()
    (folder / "gone.jpg").symlink_to("nowhere")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "through.jpg").symlink_to("1.txt/x")
    return folder


def test_first_bytes_decide_for_all(odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, others = list_images(odd)
    assert [entry.name for entry in found] == sorted((*NAMES, *UNREADABLE))
    wanted = sorted((*NAMES, *UNREADABLE, *(f"{number}.png" for number in range(5))))
    assert others == OTHERS | {"hidden": 1}
    count = Counter[str]()
    assert sorted(path.name for path in photos_below([tmp_path / "raw"], pytest.fail, count)) == wanted
    del count["folder"]
    assert count | {"folder": 1} == others
    assert sorted(photo.file for photo in list_folder(tmp_path / "raw").photos) == wanted
    split(tmp_path / "raw", tmp_path / "out")
    said = capsys.readouterr().out
    del others["folder"]  # split looks into it
    assert f"skipped, since they are no photos: {in_words(others)}" in said
    assert "HEIC photos, which training cannot read: 1." in said
    parts = [scan(tmp_path / "out", part) for part in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(wanted)
    (tmp_path / "all").mkdir()
    odd.parent.rename(tmp_path / "all" / "train")
    index = scan(tmp_path / "all", "train")
    assert sorted(Path(name).name for name in index.names) == wanted
    assert index.passed_over == OTHERS | {"hidden": 1}
    assert main(["audit", str(tmp_path / "all")]) == 0
    assert f"({in_words(index.passed_over)}) are no photos" in capsys.readouterr().out


@pytest.mark.parametrize("form", FORMATS)
def test_what_pillow_writes_is_known(form: str) -> None:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, form)
    assert photo_format(file.getvalue()[:512]) == {"MPO": "JPEG", "JPEG2000": "JPEG 2000"}.get(form, form)


@pytest.mark.parametrize("head", [
    b"", b"\xff\xd8", b"BMW, Audi and other cars", b"P1 3 dogs", b"P5" + b" " * 500, b"II are two", b"GIF89", b"MM\0\0",
    b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0AVI LIST", b"\0\0\0\x18ftypisom", b"%PDF-1.7", b"\x89PNX",
])  # fmt: skip
def test_other_beginnings_are_no_photo(head: bytes) -> None:
    assert photo_format(head) is None


def test_plain_folders_are_not_opened(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafdist.data.photos.first_bytes", lambda path: pytest.fail(f"opened {path}"))
    assert len(scan(photos, "train")) == 17


def test_kept_index_knows_other_files(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next((photos / "train").iterdir())
    (folder / "notes.txt").touch()
    for one in (photos / "train").iterdir():
        os.utime(one, (1, 1))
    first = open_index(photos, "train", None, photos / "cache")
    monkeypatch.setattr(kept_index, "scan_facts", lambda *_: pytest.fail("scanned"))
    assert open_index(photos, "train", None, photos / "cache").passed_over == first.passed_over == {".txt": 1}


def test_older_index_is_made_anew(photos: Path) -> None:
    for one in (photos / "train").iterdir():
        os.utime(one, (1, 1))
    first = open_index(photos, "train", None, photos / "cache")
    (header,) = (photos / "cache").glob("*.index")
    files.write_json(header, files.read_object(header) | {"format": 1})
    folder = next((photos / "train").iterdir())
    shutil.copy(next(folder.iterdir()), folder / "late")
    os.utime(folder, (1, 1))
    assert len(open_index(photos, "train", None, photos / "cache")) == len(first) + 1


def test_unreadable_files_without_photo_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret").touch()
    monkeypatch.setattr(photos, "first_bytes", refuse)
    assert list_images(tmp_path)[1] == {"file without permission": 1}
