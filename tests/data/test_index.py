"""The index, and what is kept of it between jobs."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from leafdist.data import kept_index
from leafdist.data.index import Index, scan
from leafdist.data.kept_index import at_hand, open_index
from leafdist.data.names import Names
from tests.helpers.files import flip_byte
from tests.helpers.photos import CLASSES


@pytest.fixture
def settled(photos: Path) -> Path:
    """Class folders that were not changed in the last seconds."""
    for folder in (photos / "train").iterdir():
        os.utime(folder, (1, 1))
    return photos


def equal(one: Index, other: Index) -> bool:
    same = (one.folder, one.classes, list(one.names), one.digest, one.stamp)
    return same == (other.folder, other.classes, list(other.names), other.digest, other.stamp) and bool(
        (one.labels == other.labels).all()
    )


def kept_of(root: Path) -> list[str]:
    return sorted(path.suffix for path in (root / "cache").iterdir() if path.suffix != ".lock")


def forbid_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Index:
        raise AssertionError("scanned")

    monkeypatch.setattr(kept_index, "scan", refuse)
    monkeypatch.setattr(kept_index, "scan_facts", refuse)


def test_second_job_reuses_the_index(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_index(settled, "train", None, settled / "cache")
    assert kept_of(settled) == [".facts", ".index", ".names"]
    forbid_scans(monkeypatch)
    second = open_index(settled, "train", CLASSES, settled / "cache")
    monkeypatch.undo()
    assert equal(first, second)
    assert equal(second, scan(settled, "train"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a photo overwritten": lambda photo: photo.write_bytes(photo.read_bytes()),
    "a photo gone": lambda photo: photo.unlink(),
    "a photo renamed": lambda photo: photo.rename(photo.with_name("z.png")),
    "a photo more": lambda photo: shutil.copy(photo, photo.with_name("more.png")),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_folder_is_scanned_again(kind: str, settled: Path) -> None:
    before = open_index(settled, "train", None, settled / "cache")
    CHANGES[kind](settled / "train" / CLASSES[1] / "001.png")
    after = open_index(settled, "train", None, settled / "cache")
    assert equal(after, scan(settled, "train"))
    assert after.stamp != before.stamp


HARM: dict[str, Callable[[Path], object]] = {
    "a byte flipped": flip_byte,
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 3),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize(
    ("suffix", "harm"), [(suffix, harm) for suffix in (".facts", ".names") for harm in HARM] + [(".index", "truncated")]
)
def test_a_damaged_index_is_scanned_again(suffix: str, harm: str, settled: Path) -> None:
    open_index(settled, "train", None, settled / "cache")
    HARM[harm](next((settled / "cache").glob(f"index-*{suffix}")))
    assert equal(open_index(settled, "train", None, settled / "cache"), scan(settled, "train"))


def test_fresh_folder_is_not_cached(photos: Path) -> None:
    assert equal(open_index(photos, "train", None, photos / "cache"), scan(photos, "train"))
    assert kept_of(photos) == []


def test_index_without_cache_is_scanned(settled: Path) -> None:
    said: list[str] = []
    (settled / "file").touch()
    index = open_index(settled, "train", None, settled / "file", said.append)
    assert equal(index, scan(settled, "train"))
    assert "the index is not kept" in said[0]


def test_index_pickles_as_path_or_scans(settled: Path) -> None:
    index = open_index(settled, "train", None, settled / "cache")
    sent = pickle.dumps(index)
    assert b"001.png" not in sent
    assert equal(at_hand(pickle.loads(sent)), index)
    assert b"001.png" in pickle.dumps(index.names.loaded())
    (settled / "cache").rename(settled / "elsewhere")
    there = pickle.loads(sent)
    assert not there.names.here
    assert equal(at_hand(there), scan(settled, "train"))
    (settled / "train" / CLASSES[0] / "001.png").unlink()
    with pytest.raises(ValueError, match="holds other photos on this node"):
        at_hand(there)


def test_two_jobs_open_an_index_together(settled: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from leafdist.data.kept_index import open_index; r = Path(sys.argv[1]);"
    )
    code += "print(open_index(r, 'train', None, r / 'cache').digest)"
    command = [sys.executable, "-c", code, str(settled)]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {job.communicate()[0].splitlines()[-1] for job in jobs} == {scan(settled, "train").digest}


def test_any_bytes_survive_in_names(tmp_path: Path) -> None:
    files = {CLASSES[0]: ["a.png", "ä b.png", os.fsdecode(b"\xff.png")], CLASSES[1]: ["c.png"]}
    names = Names.of({name: [os.fsencode(file) for file in some] for name, some in files.items()})
    expected = [f"{name}/{file}" for name, some in files.items() for file in some]
    names.write(tmp_path / "names")
    for some in (names, Names.mapped(names.counts, tmp_path / "names"), pickle.loads(pickle.dumps(names))):
        assert list(some) == some[:] == expected
        assert some[1:3] == expected[1:3]
        with pytest.raises(IndexError):
            some[4]


def test_labels_follow_given_class_order(photos: Path) -> None:
    index = scan(photos, "val", tuple(reversed(CLASSES)))
    np.testing.assert_array_equal(index.labels, [2] * 3 + [1] * 3 + [0] * 3)
