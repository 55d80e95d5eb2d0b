import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from leafdist.data import pack
from leafdist.data.decode import decode
from leafdist.data.index import scan
from leafdist.data.loader import Loader
from leafdist.data.photos import UNFINISHED
from leafdist.data.plan import Share
from leafdist.data.source import FolderSource, PackSource
from leafdist.system.errors import UnreadablePhotoError
from tests.helpers.files import flip_byte
from tests.helpers.photos import CLASSES, draw


def test_decoding_is_the_protocols_resize(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "leaf.jpg")
    with Image.open(tmp_path / "leaf.jpg") as image:
        for name, mode in (("bilinear", InterpolationMode.BILINEAR), ("bicubic", InterpolationMode.BICUBIC)):
            expected = np.asarray(transforms.Resize([64, 64], mode)(image.convert("RGB")))
            np.testing.assert_array_equal(decode(tmp_path / "leaf.jpg", 64, filter_=name), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4, :4] = 255  # top left, as seen
    upright = Image.fromarray(pixels)
    # the stored picture is the seen one put through the inverse of what the tag asks for
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    stored = upright if inverse is None else upright.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "leaf.png", exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / "leaf.png", 8), pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_grey_palette_and_alpha_become_rgb(mode: str, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode).save(tmp_path / "leaf.png")
    assert (decode(tmp_path / "leaf.png", 4) == 255).all()


def make_bad(path: Path, kind: str) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    content = {"empty": b"", "text": b"not a photo", "truncated": path.read_bytes()[: path.stat().st_size // 2]}
    path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "truncated"])
def test_undecodable_files_are_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadablePhotoError, match=r"leaf\.jpg cannot be decoded"):
        decode(make_bad(tmp_path / "leaf.jpg", kind), 8)


def test_classes_come_from_train_by_name(photos: Path) -> None:
    train, val = scan(photos, "train"), scan(photos, "val", CLASSES[::-1])
    assert train.classes == CLASSES
    assert val.classes == CLASSES[::-1]
    assert [val.classes[label] for label in val.labels] == [name.split("/")[0] for name in val.names]


@pytest.mark.parametrize("split", ["train", "val"])
def test_class_in_one_split_is_refused(split: str, photos: Path) -> None:
    (photos / split / "Rose___rust").mkdir()
    other = "val" if split == "train" else "train"
    (photos / split / "Rose___rust" / "1.png").write_bytes((photos / other / CLASSES[0] / "001.png").read_bytes())
    with pytest.raises(ValueError, match=r"val.*Rose___rust"):
        scan(photos, "val", scan(photos, "train").classes)


@pytest.mark.parametrize("filter_", ["bilinear", "bicubic"])
def test_pack_and_folder_give_same_bytes(filter_: str, photos: Path) -> None:
    index = scan(photos, "train")
    other = pack.ensure_pack(index, 24, photos / "cache", 1, filter_="bicubic" if filter_ == "bilinear" else "bilinear")
    path = pack.ensure_pack(index, 24, photos / "cache", workers=2, filter_=filter_)
    assert other.exists()
    assert other.read_bytes() != path.read_bytes()
    order = np.random.default_rng(0).permutation(len(index))
    folder, packed = FolderSource(index, 24, filter_=filter_).read(order), PackSource(index, 24, path).read(order)
    assert [array.dtype for array in folder] == [array.dtype for array in packed] == [np.uint8, np.int64]
    for mine, theirs in zip(folder, packed, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_parallel_packing_gives_same_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "BLOCK", 4)
    index = scan(draw(tmp_path / "splitted", {"train": 5}), "train")
    for workers in (1, 2):
        pack.build(tmp_path / f"{workers}.u8", index, 16, workers)
    assert (tmp_path / "1.u8").read_bytes() == (tmp_path / "2.u8").read_bytes()
    assert pack.check(tmp_path / "2.u8", index, 16) is None


def other_header(header: Path) -> None:
    header.write_text("3")


def other_decoder(header: Path) -> None:
    header.write_text(header.read_text().replace("Pillow", "Pillow-SIMD"))


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a byte flipped": (flip_byte, "its data is damaged"),
    "truncated": (lambda pack: os.truncate(pack, 99), "its data is not"),
    "no header": (lambda pack: pack.with_suffix(".json").unlink(), "there is none yet"),
    "half a header": (lambda pack: os.truncate(pack.with_suffix(".json"), 30), "its header is damaged"),
    "another header": (lambda pack: other_header(pack.with_suffix(".json")), "its header is damaged"),
    "another decoder": (lambda pack: other_decoder(pack.with_suffix(".json")), "other than before: decoder"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_pack_is_rebuilt(kind: str, photos: Path) -> None:
    said: list[str] = []
    index = scan(photos, "train")
    path = pack.ensure_pack(index, 16, photos / "cache", 1, said.append)
    harm, message = DAMAGE[kind]
    harm(path)
    assert message in (pack.check(path, index, 16) or "")
    assert pack.ensure_pack(index, 16, photos / "cache", 1, said.append) == path
    assert message in said[-1]
    assert pack.check(path, index, 16) is None


CHANGES: dict[str, Callable[[Path], object]] = {
    "a photo touched": lambda photo: os.utime(photo, (1, 1)),
    "a photo gone": lambda photo: photo.unlink(),
    "a photo renamed": lambda photo: shutil.move(photo, photo.with_name("z.png")),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_changed_folder_replaces_its_pack(kind: str, photos: Path) -> None:
    old = pack.ensure_pack(scan(photos, "train"), 16, photos / "cache", 1)
    CHANGES[kind](photos / "train" / CLASSES[0] / "001.png")
    index = scan(photos, "train")
    new = pack.ensure_pack(index, 16, photos / "cache", 1)
    assert list((photos / "cache").glob("*.u8")) == [new] != [old]
    assert pack.check(new, index, 16) is None


def test_pack_serves_read_only_users(photos: Path, tmp_path: Path) -> None:
    index = scan(photos, "train")
    made = pack.ensure_pack(index, 16, photos / ".leafdist", 1)
    assert pack.ensure_pack(index, 16, tmp_path / "mine", 1, pytest.fail) == made
    made.write_bytes(made.read_bytes()[:-1] + b"x")
    assert pack.ensure_pack(index, 16, tmp_path / "mine", 1).parent == tmp_path / "mine", "damaged, and not mine"


def test_data_sets_share_a_cache_folder(photos: Path, tmp_path: Path) -> None:
    other = scan(draw(tmp_path / "other", {"train": 2}), "train")
    index = scan(photos, "train")
    paths = {pack.ensure_pack(one, 16, tmp_path / "cache", 1) for one in (index, other)}
    assert len(paths) == len(list((tmp_path / "cache").glob("*.u8"))) == 2


def test_unfinished_split_is_refused(photos: Path) -> None:
    (photos / UNFINISHED).touch()
    with pytest.raises(ValueError, match="is an unfinished split"):
        scan(photos, "train")


def test_fold_of_unfinished_split_is_refused(photos: Path) -> None:
    (photos.parent / UNFINISHED).touch()
    with pytest.raises(ValueError, match="is an unfinished split"):
        scan(photos, "train")


def test_a_bad_photo_leaves_no_pack(photos: Path) -> None:
    make_bad(photos / "train" / CLASSES[1] / "bad.jpg", "text")
    with pytest.raises(ValueError, match=r"bad\.jpg cannot be decoded"):
        pack.ensure_pack(scan(photos, "train"), 16, photos / "cache", 1)
    assert [path.name for path in (photos / "cache").iterdir() if not path.name.endswith(".lock")] == []


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_keeps_order_over_passes(workers: int, photos: Path) -> None:
    source = FolderSource(scan(photos, "train"), 16)
    loader = Loader(source, torch.device("cpu"), workers)
    for lists in ([np.array([3, 1]), np.array([0])], [np.array([5]), np.array([2, 4, 7])]):
        for indices, batch in zip(lists, loader.batches(map(Share.undrawn, lists)), strict=True):
            np.testing.assert_array_equal(batch.images, source.read(indices)[0])
            np.testing.assert_array_equal(batch.labels, source.index.labels[indices])
            np.testing.assert_array_equal(batch.indices, indices)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_names_bad_photo_once(workers: int, photos: Path) -> None:
    make_bad(photos / "train" / CLASSES[0] / "000.png", "truncated")
    loader = Loader(FolderSource(scan(photos, "train"), 16), torch.device("cpu"), workers)
    with pytest.raises(UnreadablePhotoError, match=r"^[^\n]*000\.png cannot be decoded[^\n]*$"):
        list(loader.batches([Share.undrawn(np.array([0, 1])), Share.undrawn(np.array([2]))]))


def test_an_unreadable_folder_is_named(photos: Path) -> None:
    """Root may read everything, so the capability to do so is dropped first."""
    folder = photos / "train" / CLASSES[0]
    folder.chmod(0)
    code = f"from leafdist.data.index import scan; from pathlib import Path; scan(Path({str(photos)!r}), 'train')"
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    folder.chmod(0o755)
    assert "ValueError" in done.stderr
    assert str(folder) in done.stderr.splitlines()[-1]
