"""Photos of a folder behind leaves: found at any depth, packed, drawn by the plan, bound to the run; bad folders."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from leafdist.augmentation.backgrounds import redrawn
from leafdist.config.changes import differences
from leafdist.config.resolve import resolve
from leafdist.config.schema import AugmentConfig, Config, DataConfig, ModelConfig, TrainConfig
from leafdist.data.decode import decode
from leafdist.data.photo_facts import DataFacts
from leafdist.data.roots import open_training
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.runs.folder import RunFolder, check_run
from leafdist.training.phases import Phases
from tests.helpers.painted_masks import paint_masks
from tests.helpers.photos import draw

SIDE = 16


def config_of(root: Path, folder: Path, chance: float = 0.5, **data: object) -> Config:
    settings = DataConfig(root=str(root), resize=SIDE, crop=0, **data)  # type: ignore[arg-type]
    augment = AugmentConfig(background=chance, background_folder=str(folder))
    model, train = ModelConfig(name="baseline"), TrainConfig(batch_size=8)
    return resolve(Config(data=settings, augment=augment, train=train, model=model))


def opened(config: Config) -> tuple[torch.Tensor, DataFacts]:
    """The photos that the steps of a training put behind leaves, and what its run is bound to."""
    loaders, facts = open_training(config, Runtime())
    step = Phases(config, build_model("baseline", 3, SIDE, seed=0), loaders["train"], Runtime(), 3).step
    assert step.augment.backgrounds is not None
    return step.augment.backgrounds, facts


def test_folder_is_packed_and_bound(photos: Path) -> None:
    paint_masks(photos, SIDE)
    folder = draw(photos.parent / "behind", {"wood": 2})
    Image.new("RGB", (50, 30), (10, 20, 30)).save(folder / "plain.png")
    config = config_of(photos, folder)
    rows, facts = opened(config)
    expected = [decode(path, SIDE) for path in sorted(folder.rglob("*.png"))]
    assert np.array_equal(rows.numpy(), np.stack(expected))
    run = photos.parent / "runs" / "one"
    RunFolder(run, config, facts).start(1, "cpu", 0)

    moved = config_of(photos, folder.rename(photos.parent / "moved"))
    assert [len(lines) for lines in differences(config, moved)] == [0, 1]
    assert len(differences(config, replace(config, augment=AugmentConfig(background=0.5)))[0]) == 1, "textures instead"
    assert len(check_run(run, moved, opened(moved)[1])) == 1
    (photos.parent / "moved" / "plain.png").unlink()
    with pytest.raises(ValueError, match=r"the photos in augment.background_folder: others"):
        check_run(run, moved, opened(moved)[1])


def test_first_number_draws_the_photo() -> None:
    others = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 4, 4, 3)
    draws = torch.tensor([[0.1, 0.0], [0.1, 0.34], [0.1, 1 - 2**-53], [0.9, 0.34]], dtype=torch.float64)
    photos, masks = torch.full((4, 4, 4, 3), 9, dtype=torch.uint8), torch.zeros(4, 4, 4, dtype=torch.uint8)
    found = redrawn(photos, masks, torch.cat((draws, draws), 1), 0.5, others)
    assert found[:, 0, 0, 0].tolist() == [0, 1, 2, 9]


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda folder: None, "there is no such folder. Name a folder of photos, or leave it null"),
    "empty": (lambda folder: (folder / "a").mkdir(parents=True), "holds no photo, nor do its sub-folders"),
    "damaged": (lambda folder: draw(folder, {"a": 1}, classes=("b",)), "none of its photos can be decoded"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_folders_are_refused(kind: str, photos: Path) -> None:
    folder, (make, message) = photos.parent / "bad", BAD[kind]
    make(folder)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"not a photo")
    paint_masks(photos, SIDE)
    with pytest.raises(ValueError, match=message):
        opened(config_of(photos, folder, on_corrupt="quarantine"))
    with pytest.raises(ValueError, match=r"augment.background_folder=.*bad: no photo gets .* set that too"):
        config_of(photos, folder, chance=0)
