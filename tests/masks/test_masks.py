"""`leafdist masks` on drawn photos: the leaf without its shadow, doubts where there is no leaf on a table, the page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leafdist.__main__ import main
from leafdist.config.schema import DataConfig
from leafdist.data.index import scan
from leafdist.data.leaf_masks import find_masks, trusted
from leafdist.data.pack import cache_folder
from leafdist.data.quarantine import screen
from leafdist.data.source import RowsOfMasks
from leafdist.masks import cut
from tests.helpers.photos import CLASSES

SIDE = cut.WORK
TABLE, LEAF, SHADOW = (132, 122, 142), (70, 116, 52), (36, 33, 38)
AWAY = np.mgrid[:SIDE, :SIDE] - SIDE / 2


def oval(down: float, across: float, shift: int = 0) -> NDArray[np.bool_]:
    return np.asarray(np.hypot(AWAY[0] / down, (AWAY[1] - shift) / across) < 1)


def lab_photo(leaf: NDArray[np.bool_], colour: tuple[int, ...] = LEAF) -> NDArray[np.uint8]:
    """A leaf with its shadow on the table, all in noise."""
    pixels = np.empty((SIDE, SIDE, 3))
    pixels[:] = TABLE
    pixels[np.roll(leaf, 6, 1)] = SHADOW
    pixels[leaf] = colour
    noise = np.random.default_rng(0).normal(0, 7, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [LEAF, (150, 130, 40), (110, 80, 50)], ids=["green", "yellow", "brown"])
def test_leaf_is_cut_without_its_shadow(colour: tuple[int, ...]) -> None:
    leaf = oval(50, 30)
    found = cut.cut_leaf(lab_photo(leaf, colour))
    assert found.doubts == ()
    inside = found.mask > 0
    assert (inside & leaf).sum() / (inside | leaf).sum() > 0.97
    kept = cut.softened(found.mask, 40)
    assert kept.shape == (40, 40)
    assert (kept.min(), kept.max()) == (0, 255)
    assert 0.03 < ((kept > 25) & (kept < 230)).mean() < 0.15, "an edge of two pixels or so"
    assert kept.mean() / 255 == pytest.approx(leaf.mean(), rel=0.08)


LONE, GREEN, BLUE = lab_photo(oval(45, 25)), (90, 140, 60), (40, 60, 150)
BOOK = ((AWAY[0] < -24) & (AWAY[1] < -36))[..., None]  # in a corner of the table
DOUBTFUL = {
    "size": lab_photo(oval(8, 8)),
    "no table": np.where(oval(50, 30)[..., None], lab_photo(oval(200, 200), GREEN), lab_photo(oval(200, 200))),
    "several pieces": lab_photo(oval(40, 14, -25) | oval(40, 14, 25)),
    "uneven table": np.where(BOOK, BLUE, LONE),
    "uneven table, grey": np.where(BOOK, 3 * (250,), LONE),
}


@pytest.mark.parametrize("doubt", DOUBTFUL)
def test_doubtful_masks_are_not_trusted(doubt: str) -> None:
    found = cut.cut_leaf(DOUBTFUL[doubt].astype(np.uint8)).doubts
    assert doubt.partition(",")[0] in found


def test_command_masks_all_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, page = tmp_path / "splitted", tmp_path / "masks.html"
    for split in ("train", "val"):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                leaf = oval(300, 300) if label == 2 else oval(45, 30 + 5 * number)
                Image.fromarray(lab_photo(leaf)).save(root / split / name / f"{number}.png")
    command = ["masks", str(root), "--resize", "32", "--html", str(page)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "trusted: train 4 of 6, val 4 of 6; 66.7% of 12 photos" in said.out
    index, data = scan(root, "train"), DataConfig(root=str(root), resize=32)
    path = find_masks(index, data)
    assert f"{path}\n" in said.out
    assert trusted(RowsOfMasks(path, 6, 32)).tolist() == [True] * 4 + [False] * 2
    text = page.read_text()
    assert text.count("data:image/jpeg") == 6
    assert "4</data> of 4 photos trusted" in text
    assert "0</data> of 4 photos trusted" in text
    before = path.stat().st_mtime_ns
    assert main(command[:-2]) == 0
    assert path.stat().st_mtime_ns == before
    (root / "train" / CLASSES[0] / "0.png").write_bytes(b"no photo")
    setting, found = ("--on-corrupt", "quarantine"), replace(data, on_corrupt="quarantine")
    screened = screen(scan(root, "train"), found, cache_folder(root, None), 1)
    with pytest.raises(ValueError, match=f"{' '.join(setting)}`"):
        find_masks(screened, found)
    assert main([*command[:-2], *setting]) == 0
    find_masks(screened, found)
    capsys.readouterr()
    (root / "train" / CLASSES[0] / "0.png").unlink()
    path.touch()
    assert main(command[:-2]) == 0
    assert "masking 5 photos" in capsys.readouterr().err
    assert not path.exists(), "masks of other photos are replaced"
