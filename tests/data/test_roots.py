"""Several roots in one training: exact shares from any cut, how often a photo is shown, and what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from leafdist.config.extra_roots import extra_roots, rows_of_roots
from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, TrainConfig
from leafdist.data.epoch import plan_of
from leafdist.data.index import Index
from leafdist.data.loader import Loader
from leafdist.data.photo_facts import DataFacts
from leafdist.data.plan import Share
from leafdist.data.roots import epoch_rows, join, open_training
from leafdist.data.source import FolderSource
from leafdist.distributed.runtime import Runtime
from tests.helpers.indexes import index_of
from tests.helpers.photos import CLASSES, draw

MAIN = 101  # photos
EXTRA = ("/data/field:0.3", "/data/yard:0.12")


def config_of(batch: int, extra: Sequence[str] = EXTRA, **data: object) -> Config:
    data = {"root": "/data/lab", "extra": list(extra)} | data
    return resolve(Config(data=DataConfig(**data), train=TrainConfig(batch_size=batch), seed=3))  # type: ignore[arg-type]


def joined(**roots: list[int]) -> Index:
    """Return the index of several roots that exist nowhere; of each but the main one two photos are of no class."""
    parts = {name: replace(index_of(counts), folder=Path(name)) for name, counts in roots.items()}
    for part in parts.values():
        part.labels[[0, 4]] = -100
    parts = {"": index_of([MAIN - 40, 40])} | parts
    return join({name: FolderSource(part, 8) for name, part in parts.items()}).index


THREE = joined(field=[5, 4], yard=[19])


def owners(photos: NDArray[np.int64]) -> list[int]:
    """Count the photos of each of THREE."""
    found: list[int] = np.histogram(photos, [0, MAIN, MAIN + 9, MAIN + 28])[0].tolist()
    return found


@pytest.mark.parametrize(("batch", "counts"), [(16, [9, 5, 2]), (10, [6, 3, 1]), (13, [7, 4, 2])])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shares_are_exact_in_any_cut(batch: int, counts: list[int], world: int) -> None:
    config, main = config_of(batch), list[int]()
    plan = plan_of(config, THREE, 2)
    for number in range(len(plan)):
        whole, shares = plan.share(number), [plan.share(number, rank, world) for rank in range(world)]
        assert np.array_equal(np.concatenate([one.indices for one in shares if not one.stand_in]), whole.indices)
        left = min(counts[0], MAIN - number * counts[0])
        expected = [int(Fraction(count * left, counts[0]) + Fraction(1, 2)) for count in counts]
        assert owners(whole.indices) == expected
        assert whole.total == sum(expected)
        main += whole.indices[whole.indices < MAIN].tolist()
    assert sorted(main) == list(range(MAIN)), "an epoch is one pass over the main root"
    assert plan.rows == epoch_rows(config, MAIN)
    assert rows_of_roots(config.data, batch) == counts


def test_rows_of_a_root_lie_apart() -> None:
    photos = plan_of(config_of(30, ["/data/field:0.4"]), joined(field=[50]), 0).share(1).indices
    assert [int((fifth >= MAIN).sum()) for fifth in np.split(photos, 6)] == [2] * 6


def test_a_batch_mixes_across_roots() -> None:
    """The photo that a rank's last one is mixed with is the next rank's first, of whichever root."""
    config = resolve(replace(config_of(16), augment=replace(Config().augment, mixup=0.2)))
    first, second = (plan_of(config, THREE, 0).share(1, rank, 2) for rank in range(2))
    assert first.mixed
    assert first.indices[-1] == second.indices[0]


def test_extra_photos_are_shown_equally_often() -> None:
    """A pass over the 7 photos of the second root, then another one in another order, across batches and epochs."""
    config, times, shown = config_of(16), np.zeros(len(THREE), int), list[int]()
    for epoch in range(7):
        for share in plan_of(config, THREE, epoch).shares(0, 1):
            times += np.bincount(share.indices, minlength=len(THREE))
            shown += [photo for photo in share.indices.tolist() if MAIN <= photo < MAIN + 9]
            for start, stop in ((MAIN, MAIN + 9), (MAIN + 9, MAIN + 28)):
                own = times[start:stop][THREE.labels[start:stop] >= 0]
                assert own.max() - own.min() <= 1
    assert times[THREE.labels < 0].sum() == 0, "of classes that the run does not know"
    passes = [tuple(shown[start : start + 7]) for start in range(0, len(shown) - 6, 7)]
    assert {tuple(sorted(one)) for one in passes} == {tuple(MAIN + row for row in (1, 2, 3, 5, 6, 7, 8))}
    assert len(set(passes)) == len(passes) > 50


def test_sampling_is_of_the_main_root() -> None:
    plan = plan_of(config_of(16, sampling="balanced"), THREE, 0)
    photos = np.concatenate([share.indices for share in plan.shares(0, 1)])
    assert np.bincount(THREE.labels[photos[photos < MAIN]]).tolist() == [51, 50]


def test_roots_of_one_name_are_numbered() -> None:
    data = DataConfig(root="lab", extra=["a/field:0.1", "b/field/:0.1", "c/f@b:2e-1"])
    found = [(root.path, root.share, root.name) for root in extra_roots(data)]
    assert found[1:] == [("b/field/", Fraction(1, 10), "field-2"), ("c/f@b", Fraction(1, 5), "f-b")]


REFUSED = {
    r"data.extra=/data/field: must be ROOT:SHARE": ["/data/field"],
    r"data.extra=/data/field:1: must be ROOT:SHARE": ["/data/field:1"],
    r"data.extra=/data/field:1/3: must be": ["/data/field:1/3"],
    r"/data/lab/ is named twice": ["/data/lab/:0.2"],
    r"the shares sum to 1.1; they must sum to less than 1": ["/data/a:0.6", "/data/b:0.5"],
    r"data.extra=/data/a:0.03: no row of a batch, since train.batch_size=16. Raise that to 17": ["/data/a:0.03"],
    r"leaves no row of a batch to data.root, since train.batch_size=16": ["/data/a:0.98"],
    r"train.select=worst_root: there is no other root": [],
}


@pytest.mark.parametrize("message", REFUSED)
def test_wrong_shares_are_refused(message: str) -> None:
    config = Config(data=DataConfig(root="/data/lab", extra=REFUSED[message]), train=TrainConfig(batch_size=16))
    with pytest.raises(ValueError, match=message):
        resolve(config if REFUSED[message] else replace(config, train=TrainConfig(select="worst_root")))


@pytest.fixture
def lab(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos of `photos`; beside them field/, with a class of theirs, one of another name, and a strange one."""
    monkeypatch.chdir(photos.parent)
    draw(Path("field"), {"train": 4, "val": 2}, classes=(CLASSES[0], "rust", "Rose"))
    return photos


def opened(
    lab: Path, lines: str = f"rust\t{CLASSES[1]}\n", select: str = "accuracy", **data: object
) -> tuple[dict[str, Loader], DataFacts]:
    Path("map.tsv").write_text(lines)
    data = {
        "root": str(lab),
        "extra": ["field:0.25"],
        "classes": "map.tsv",
        "resize": 16,
        "crop": 0,
        "workers": 0,
    } | data
    train = TrainConfig(batch_size=8, select=select)  # type: ignore[arg-type]
    return open_training(resolve(Config(data=DataConfig(**data), train=train)), Runtime())  # type: ignore[arg-type]


@pytest.mark.parametrize(("source", "placement"), [("pack", "host"), ("pack", "device"), ("folder", "host")])
def test_photos_of_all_roots_are_read(
    source: str, placement: str, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaders, facts = opened(lab, source=source, placement=placement)
    assert list(loaders) == ["train", "val", "val@field"]
    train, photos = loaders["train"].source, np.array([17, 3, 28, 0])
    (batch,) = loaders["train"].batches([Share.undrawn(photos)])
    parts = [
        FolderSource(part, 16).read(np.array(rows))
        for part, rows in zip(train.index.parts.values(), [[3, 0], [0, 11]], strict=True)
    ]
    assert np.array_equal(batch.images, np.stack([parts[1][0][0], parts[0][0][0], parts[1][0][1], parts[0][0][1]]))
    assert batch.labels.tolist() == [0, 0, 1, 0]
    assert train.index.labels[17:].tolist() == [0] * 4 + [-100] * 4 + [1] * 4
    said = capsys.readouterr().out
    assert "left out, of classes that the run does not know: Rose (4 photos)" in said
    assert f"6 from {lab} (17 photos), 2 from field (8 photos)" in said
    assert {name: one.photos for name, one in facts.data.items()} == {
        "train": 17, "train@field": 8, "val": 9, "val@field": 4
    }  # fmt: skip
    other = replace(facts, class_map={"rust": CLASSES[2]})
    assert list(facts.changes(other)) == ["the file of data.classes: other classes"]
    Path("field/train/Rose/new.png").write_bytes(Path("field/train/Rose/000.png").read_bytes())
    Path("field/train/rust/new.png").write_bytes(Path("field/train/rust/000.png").read_bytes())
    assert list(facts.changes(opened(lab, source=source)[1])) == ["data: train@field: 8 photos -> 9 photos"]


WRONG_MAPS = {
    r"line 2: 'Rose___rust' is not a class of the run": f"\nrust\tRose___rust\n{CLASSES[0]}\t{CLASSES[1]}\n",
    r"data.extra has no photo of 'Rust'": f"Rust\t{CLASSES[0]}\n",
    r"line 1: 'rust Apple' must be one of their classes, a tab": "rust Apple\n",
    r"line 2: 'rust' has a line already": f"rust\t{CLASSES[0]}\nrust\t{CLASSES[1]}\n",
}


@pytest.mark.parametrize("message", WRONG_MAPS)
def test_wrong_maps_are_refused(message: str, lab: Path) -> None:
    with pytest.raises(ValueError, match=message):
        opened(lab, WRONG_MAPS[message])


def test_roots_that_fit_badly_are_refused(lab: Path) -> None:
    Path("field/fold-0").mkdir()
    with pytest.raises(ValueError, match=r"data.extra: field holds folds. Name .* field/fold-0"):
        opened(lab)
    Path("field/fold-0").rmdir()
    with pytest.raises(ValueError, match=r"data.extra: map.tsv is a file"):
        opened(lab, extra=["map.tsv:0.25"])
    Path("field/val").rename("field/test")
    assert list(opened(lab)[0]) == ["train", "val"], "val may be absent"
    with pytest.raises(ValueError, match=r"train.select=worst_root: no root of data.extra has a folder val"):
        opened(lab, select="worst_root")
    Path(f"field/train/{CLASSES[0]}").rename("field/train/Lily")
    with pytest.raises(ValueError, match=r"field/train: none of its folders \(Lily, Rose, rust, …\) is a class"):
        opened(lab, "")
    Path("field/train").rename("field/train2")
    with pytest.raises(ValueError, match=r"field/train does not exist"):
        opened(lab)
