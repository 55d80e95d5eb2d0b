"""Steps on photos with other backgrounds, mixed too: the same gradients in any cut."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from leafdist.config.resolve import resolve
from leafdist.config.schema import AugmentConfig, Config, DataConfig, ModelConfig, TrainConfig
from leafdist.data.loader import Batch
from leafdist.data.mixing import Mixing
from leafdist.data.plan import EpochPlan, Share, streams
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.models.dropout import seek_step
from leafdist.training.step import TrainStep
from tests.helpers.painted_masks import disc

PHOTOS, SIZE, SIDE = 11, 4, 16
AUGMENT = AugmentConfig(background=0.7, mixup=0.5, rotate=20)
OTHERS = torch.randint(0, 256, (5, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.manual_seed(2))


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def step_of(accumulate: int, others: Tensor | None) -> TrainStep:
    config = Config(
        model=ModelConfig(name="baseline"),
        data=DataConfig(resize=SIDE, hflip=0.5),
        augment=AUGMENT,
        train=TrainConfig(batch_size=SIZE, precision="no", accumulate=accumulate),
    )
    return TrainStep(resolve(config), build_model("baseline", 3, SIDE, seed=0), Runtime(), 3, backgrounds=others)


def batch_of(share: Share, *, masked: bool) -> Batch:
    indices = torch.from_numpy(share.indices)
    photos = torch.randint(0, 256, (PHOTOS, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    masks = torch.stack([torch.from_numpy(disc(f"{photo:03}.png", SIDE)) for photo in range(PHOTOS)])[indices]
    return Batch(share, photos[indices], indices % 3, indices, torch.from_numpy(share.draws), masks if masked else None)


def sums_of(world: int, accumulate: int, others: Tensor | None = None, *, masked: bool = True) -> list[Tensor]:
    """Loss, hits and gradients of each batch of an epoch, summed over the ranks."""
    found, step = list[Tensor](), step_of(accumulate, others)
    whole = EpochPlan(PHOTOS, SIZE, 1, 0, streams(AUGMENT), mixing=Mixing(0.5, 0, SIDE))
    for number in range(len(whole)):
        seek_step(step.dropouts, 0, number, torch.device("cpu"))
        shares = [whole.share(number, rank, world) for rank in range(world)]
        sums = [step._accumulate(batch_of(share, masked=masked)) for share in shares]
        found += [torch.stack(values).sum() for values in zip(*sums, strict=True)]
        found += [parameter.grad.clone() for parameter in step.trained if parameter.grad is not None]
        step.optimizer.zero_grad()
    return found


@pytest.mark.parametrize("others", [None, OTHERS], ids=["textures", "photos"])
def test_any_cut_gives_same_backgrounds(others: Tensor | None) -> None:
    """Of batches of 4, 4 and 3 photos; three ranks in two parts run single rows."""
    whole = sums_of(1, 1, others)
    assert not torch.allclose(sums_of(1, 1, masked=False)[0], whole[0]), "backgrounds make a difference"
    for world, accumulate in ((1, 2), (2, 1), (3, 2)):
        for mine, theirs in zip(sums_of(world, accumulate, others), whole, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
