"""Masks beside a pack: found, or refused with the way out; read with the photos, of the main root alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from leafdist.config.resolve import resolve
from leafdist.config.schema import AugmentConfig, Config, DataConfig, TrainConfig
from leafdist.data.epoch import plan_of
from leafdist.data.index import scan
from leafdist.data.leaf_masks import find_masks, trusted
from leafdist.data.loader import Loader
from leafdist.data.photo_facts import DataFacts
from leafdist.data.plan import Share
from leafdist.data.roots import open_training
from leafdist.data.source import RowsOfMasks
from leafdist.distributed.runtime import Runtime
from leafdist.runs.folder import RunFolder, check_run
from tests.helpers.files import flip_byte
from tests.helpers.painted_masks import disc, paint_masks
from tests.helpers.photos import CLASSES, draw

SIDE = 16


def config_of(root: Path, **data: object) -> Config:
    settings = DataConfig(root=str(root), resize=SIDE, crop=0, **data)  # type: ignore[arg-type]
    return Config(data=settings, augment=AugmentConfig(background=0.5), train=TrainConfig(batch_size=8))


def opened(photos: Path, placement: str) -> tuple[Config, dict[str, Loader], DataFacts]:
    paint_masks(photos, SIDE)
    field = photos.parent / "field"
    if not field.exists():
        draw(field, {"train": 4}, classes=CLASSES[:2])
    config = resolve(config_of(photos, extra=[f"{field}:0.25"], placement=placement))
    return config, *open_training(config, Runtime())


def test_masks_come_with_their_photos(photos: Path) -> None:
    for placement in ("host", "device"):
        config, loaders, _ = opened(photos, placement)
        train = loaders["train"]
        plan = plan_of(config, train.source.index, 0)
        assert plan.share(0).draws.shape == (8, 8)
        for batch in train.batches(plan.shares(0, 1)):
            assert batch.masks is not None
            for index, mask in zip(batch.indices.tolist(), batch.masks.numpy(), strict=True):
                name = train.source.index.names[index] if index < 17 else "001.png"
                assert np.array_equal(mask, disc(name, SIDE)), "photos of other roots are leaf throughout"
        (judged,) = train.batches([Share.undrawn(np.arange(20))])
        assert judged.masks is None
        assert len(judged.tensors) == 4


def test_runs_are_bound_to_masks(photos: Path) -> None:
    config, _, facts = opened(photos, "host")
    assert facts.masks is not None
    folder = photos.parent / "runs" / "one"
    RunFolder(folder, config, facts).start(1, "cpu", 0)
    assert check_run(folder, config, facts) == []
    with pytest.raises(ValueError, match="the masks of the leaves in train: others, of another OpenCV or leafdist"):
        check_run(folder, config, replace(facts, masks="0" * 64))


def test_masks_that_differ_are_refused(photos: Path) -> None:
    config, cache = config_of(photos), photos.parent / "packs"
    way_out = rf"Run `leafdist masks {photos} --resize 16`"
    with pytest.raises(
        ValueError, match=rf"no masks of the leaves in .*train at 16 pixels \(there is none .*{way_out}"
    ):
        open_training(resolve(config), Runtime())
    elsewhere = DataConfig(root=str(photos), resize=8, fit="crop", cache=str(cache))
    with pytest.raises(ValueError, match=rf"--resize 8 --fit crop --cache {cache}`"):
        find_masks(scan(photos, "train"), elsewhere)
    path, index = paint_masks(photos, SIDE), scan(photos, "train")
    assert find_masks(index, config.data) == path
    assert np.flatnonzero(~trusted(RowsOfMasks(path, 17, SIDE))).tolist() == [1, 7, 13]
    flip_byte(path)
    with pytest.raises(ValueError, match=r"its data is damaged"):
        find_masks(index, config.data)
    (photos / "train" / CLASSES[0] / "000.png").unlink()
    with pytest.raises(ValueError, match=r"those there are of other photos"):
        find_masks(scan(photos, "train"), config.data)
    with pytest.raises(ValueError, match=r"augment.background=0.5: masks are read beside packs; set data.source=pack"):
        resolve(config_of(photos, source="folder"))


def test_only_backgrounds_draw_for_backgrounds(photos: Path) -> None:
    """With it off a share is what it was before there were masks."""
    config, index = config_of(photos), scan(photos, "train")
    plain = resolve(replace(config, augment=AugmentConfig(rotate=10)))
    both = resolve(replace(config, augment=AugmentConfig(rotate=10, background=0.5)))
    before, after = (plan_of(one, index, 0).share(1).draws for one in (plain, both))
    assert np.array_equal(after[:, :8], before)
    assert torch.from_numpy(after[:, 8:]).unique().numel() == 32
