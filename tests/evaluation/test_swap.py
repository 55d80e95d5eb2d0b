"""`evaluate.py --swap`: who stands before whose background, how that looks, and what the figures say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from leafdist.augmentation.backgrounds import in_front, without_leaves
from leafdist.data.index import scan
from leafdist.data.leaf_masks import find_masks
from leafdist.data.photo_facts import SplitFacts
from leafdist.data.source import FolderSource, RowsOfMasks
from leafdist.data.swapped_source import SwappedSource, pairs
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.assess import Request
from leafdist.evaluation.swap_scores import Answers, ClassSwap, Share, assess_swaps, difference
from leafdist.runs.facts import RunFacts, write_facts
from leafdist.runs.header import read_meta
from tests.helpers.painted_masks import paint_masks
from tests.helpers.photos import CLASSES, draw
from tests.helpers.untrained import untrained_run

LABELS = np.array([2, 0, 1, 0, 2, 2, 0, 3])


def test_pairs_are_drawn_evenly() -> None:
    own, other = (np.stack(found) for found in zip(*(pairs(LABELS, seed) for seed in range(600)), strict=True))
    for photo, label in enumerate(LABELS.tolist()):
        for drawn, expected in ((own, label == LABELS), (other, label != LABELS)):
            if drawn is own and expected.sum() > 1:
                expected[photo] = False
            counts = np.bincount(drawn[:, photo], minlength=len(LABELS))
            assert (counts[~expected] == 0).all()
            assert counts[expected].min() > 0.6 * 600 / expected.sum()


def test_leaves_are_painted_over() -> None:
    """A table that grows brighter to the right; the leaf's rim, which the mask lacks, goes too."""
    table = torch.linspace(60, 180, 64).view(1, 1, 64, 1).expand(1, 64, 64, 3)
    leaf = torch.zeros(1, 64, 64, dtype=torch.uint8)
    leaf[:, 20:40, 25:45] = 255
    rim = torch.nn.functional.max_pool2d(leaf[:, None].float(), 3, 1, 1)[:, 0] > 0
    photo = torch.where(rim.unsqueeze(3), 0, table).to(torch.uint8)
    found = without_leaves(photo, leaf)
    torch.testing.assert_close(found, table.float(), atol=12, rtol=0)
    assert torch.equal(in_front(photo, leaf, found)[rim & (leaf == 255)], photo[leaf == 255])


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Path:
    return untrained_run(tmp_path / "run", "baseline", CLASSES, root=str(photos))


def test_run_is_judged_on_other_backgrounds(run: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta, runtime = read_meta(run), Runtime()
    assert meta is not None
    side = int(meta.config.data.resize)
    with pytest.raises(ValueError, match=rf"no masks of the leaves in {photos}/test .*Run `leafdist masks {photos}"):
        assess_swaps([run], Request(), runtime)
    with pytest.raises(ValueError, match="--swap takes neither"):
        assess_swaps([run], Request(flips=True), runtime)
    paint_masks(photos, side, "test")
    index = scan(photos, "test")
    masks = RowsOfMasks(find_masks(index, meta.config.data), 9, side)
    rows = np.array([0, 2, 3, 5, 6, 8])
    source = SwappedSource(FolderSource(index, side), masks, rows, rows[::-1])
    assert list(source.index.names) == [index.names[row] for row in rows]
    swapped, labels = source.read(np.arange(6))
    plain = FolderSource(index, side).read(rows)[0]
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    corner, middle = (slice(None), 0, 0), (slice(None), side // 2, side // 2)
    assert np.array_equal(swapped[corner], plain[::-1][corner])
    assert np.array_equal(swapped[middle], plain[middle])
    assess_swaps([run], Request(), runtime)
    found = json.loads((run / "swap-test.json").read_text())
    assert (found["photos"], found["of"], found["total"]["photos"]) == (6, 9, 6)
    for kind in ("by_leaf", "by_background"):
        assert sum(one["other"] for one in found[kind].values()) == found["total"]["other"]
    assert found["plain"]["value"] == found["total"]["plain"] / 6
    said = capsys.readouterr().out
    write_facts(run, RunFacts(data={"val": SplitFacts(9, scan(photos, "val").digest)}))
    assess_swaps([run], Request(root=str(photos)), runtime)
    field = draw(run.parent / "field", {"test": 3}, side=32)
    paint_masks(field, side, "test")
    with pytest.raises(ValueError, match=r"swap-test.json is of the run's own photos. Name another folder"):
        assess_swaps([run], Request(root=str(field)), runtime)
    assess_swaps([run], Request(root=str(field), to=run.parent / "swaps"), runtime)
    assert (run.parent / "swaps" / "run" / "swap-test.json").exists()
    with pytest.raises(ValueError, match=r"swap-test.json is of other photos. Name another folder"):
        assess_swaps([run], Request(to=run.parent / "swaps"), runtime)
    assert "6 of 9 photos, those with a trusted mask" in said
    assert f"{found['drop']['value']:.4f}" in said


def test_share_of_background_is_told() -> None:
    """Of ten answers two fall with the cutting, and five more say the class of the background."""
    labels, behind = np.zeros(10, int), np.ones(10, int)
    own, other = np.repeat([0, 2], [8, 2]), np.repeat([0, 1, 2], [3, 5, 2])
    answers = Answers(labels, behind, labels, own, other)
    assert answers.counted(labels == 0) == ClassSwap(photos=10, plain=10, own=8, other=3, background=5)
    plain, before, after = answers.hits
    drop, due = difference(plain, after), difference(before, after)
    assert (drop.value, due.value) == (0.7, 0.5)
    assert 0.2 < drop.interval[0] < 0.7 < drop.interval[1] <= 1
    assert difference(plain, plain) == Share(0, (0, 0))
