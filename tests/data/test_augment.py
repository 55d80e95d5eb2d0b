import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

from leafdist.data.augment import Augment
from leafdist.data.plan import EpochPlan

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def random_images(count: int, side: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def test_equals_torchvision_for_the_same_draws() -> None:
    images, draws = random_images(64), EpochPlan(64, 64, seed=0, epoch=0).share(0).draws
    batch = Augment(crop=52, hflip=0.5, vflip=0.5, normalize="imagenet")(images, torch.from_numpy(draws))
    for image, draw, ours in zip(images, draws, batch, strict=True):
        picture = Image.fromarray(image.numpy())
        picture = functional.hflip(picture) if draw[0] < 0.5 else picture
        picture = functional.vflip(picture) if draw[1] < 0.5 else picture
        picture = functional.crop(picture, int(draw[2] * 13), int(draw[3] * 13), 52, 52)
        assert torch.equal(ours, functional.normalize(functional.to_tensor(picture), *IMAGENET))


@pytest.mark.parametrize("crop", [0, 52, 51])
def test_evaluation_equals_torchvisions_center_crop(crop: int) -> None:
    images = random_images(3)
    ours = Augment(crop=crop, hflip=0.5, normalize="none").for_evaluation()(images)
    steps = [transforms.ToTensor(), *([transforms.CenterCrop(crop)] if crop else [])]
    for image, result in zip(images, ours, strict=True):
        assert torch.equal(result, transforms.Compose(steps)(Image.fromarray(image.numpy())))


def test_crops_and_flips_are_distributed_right() -> None:
    draws = EpochPlan(4096, 4096, seed=0, epoch=0).share(0).draws
    places = np.floor(draws[:, 2] * 13)
    assert set(places) == set(range(13))
    ramp = torch.arange(8, dtype=torch.uint8).view(1, 1, 8, 1).expand(4096, 1, 8, 3).contiguous()
    turned = Augment(crop=0, hflip=0.25).window(ramp, torch.from_numpy(draws))
    assert (turned[:, 0, 0, 0] == 7).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_copying_equals_gathering() -> None:
    images, draws = random_images(64, 20), torch.from_numpy(EpochPlan(64, 64, seed=0, epoch=1).share(0).draws)
    augment = Augment(crop=13, hflip=0.5, vflip=0.5)
    flipped = draws[:, 1] < 0.5, draws[:, 0] < 0.5
    starts = augment._starts(20, draws[:, 2]), augment._starts(20, draws[:, 3])
    assert torch.equal(augment._gathered(images, flipped, starts), augment.window(images, draws))


def test_without_flips_and_crop_nothing_moves() -> None:
    images = random_images(4)
    draws = torch.from_numpy(EpochPlan(4, 4, seed=0, epoch=0).share(0).draws)
    assert torch.equal(Augment().window(images, draws), images)
