"""Each operation against torchvision's functional one for the same draw, in float32 and float64."""

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide
from torchvision.transforms.v2 import functional as reference

from benchmarks.augmentation import COLORS, color_difference, inside, pictures, trivial_difference
from leafdist.augmentation import effects, geometry, trivial

BILINEAR = InterpolationMode.BILINEAR


@pytest.mark.parametrize("name", COLORS)
def test_colors_equal_torchvisions(name: str) -> None:
    assert color_difference(name, torch.float32) < 2e-6
    assert color_difference(name, torch.float64) < 2e-6  # torchvision's hue is float32 inside


def test_operations_leave_their_input() -> None:
    """On GPUs the photos that were not chosen are taken from it."""
    images = pictures() / 255
    before = images.clone()
    for ours, _, values in COLORS.values():
        ours(images, torch.tensor(values))
    trivial.posterize(images, torch.tensor([2.0, 3.0, 7.0, 8.0]))
    trivial.equalize(images)
    assert torch.equal(images, before)


def test_levels_equal_torchvisions() -> None:
    levels = pictures()
    images = levels / 255
    bits = torch.tensor([2.0, 3.0, 7.0, 8.0])
    for number, (image, one) in enumerate(zip(levels, trivial.posterize(images, bits), strict=True)):
        assert torch.equal((one * 255).round().to(torch.uint8), reference.posterize(image, int(bits[number])))
    assert torch.equal((trivial.equalize(images) * 255).round().to(torch.uint8), reference.equalize(levels))


def test_erased_rectangle_is_torchvisions() -> None:
    draws = torch.rand(400, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    images = torch.rand(400, 3, 20, 20) + 1
    boxes = effects.rectangles(draws, 20)
    found = effects.erased(images.clone(), draws, 0.5)
    for image, draw, box, one in zip(images, draws, boxes.int().tolist(), found, strict=True):
        top, left, height, width = box
        assert 0 <= top <= 20 - height
        assert 0 <= left <= 20 - width
        drawn = draw[0] < 0.5
        assert torch.equal(one, reference.erase(image, *box, torch.zeros(3, 1, 1)) if drawn else image)
    share = boxes[:, 2] * boxes[:, 3] / 400
    assert share.mean().item() == pytest.approx((0.02 + 0.33) / 2, abs=0.02)


def test_trivial_equals_torchvision_throughout() -> None:
    names = [name.lower() for name in TrivialAugmentWide._AUGMENTATION_SPACE]
    assert names == [name.replace("_", "") for name in trivial.OPERATIONS]
    for number, name in enumerate(names):
        assert trivial_difference(number) < 2e-5, name


def test_flip_rotation_and_crop_compose() -> None:
    """One look-up against torchvision's three: whole pixels move exactly, so the rotation alone interpolates."""
    rows = pictures(4, 40)[3:].permute(0, 2, 3, 1).contiguous()
    image, yes, no = rows[0].permute(2, 0, 1) / 255, torch.tensor([True]), torch.tensor([False])
    for degrees, across, down in ((-23.0, yes, no), (71.0, no, yes), (180.0, yes, yes)):
        angle, size, draws = torch.tensor([degrees]).double(), torch.tensor([30.0]).double(), torch.tensor([[0.4, 0.8]])
        maps = geometry.turned(across, down, angle) @ geometry.windows(draws.double(), (size, size), 40, 30)
        theirs = reference.hflip(image) if across else image
        theirs = reference.vflip(theirs) if down else theirs
        theirs = reference.crop(reference.rotate(theirs, degrees, BILINEAR), 4, 8, 30, 30)
        differs = (geometry.look_up(rows, maps, 30, 1)[0] - theirs).abs() * inside(30, maps, 40)
        assert differs.max() < 2e-5


@pytest.mark.parametrize(("photo", "size", "finer"), [(40, 30, 1), (90, 90, 3)])
def test_resized_crops_equal_torchvisions(photo: int, size: int, finer: int) -> None:
    """Enlarged, equal inside; shrunk, ours is a mean and torchvision's a triangle: of every third row both see 1/3."""
    steep = torch.linspace(0, 255, photo)
    pixels = steep.view(-1, 1) * steep / 255 if finer == 1 else 255.0 * (torch.arange(photo).view(-1, 1) % 3 == 0)
    rows = pixels.view(1, photo, -1, 1).expand(1, photo, photo, 3).to(torch.uint8)
    sizes, draws = (torch.tensor([size]).double(), torch.tensor([size - 4]).double()), torch.tensor([[0.5, 0.5]])
    ours = geometry.look_up(rows, geometry.windows(draws.double(), sizes, photo, 30), 30, finer)[0]
    top, left = (photo - size + 1) // 2, (photo - size + 5) // 2
    image = rows[0].permute(2, 0, 1) / 255
    theirs = reference.resized_crop(image, top, left, size, size - 4, [30, 30], antialias=True)
    assert (ours - theirs)[:, 1:-1, 1:-1].abs().max() < 1e-5


def test_crop_sizes_are_torchvisions() -> None:
    draws = torch.rand(2000, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    height, width = geometry.crop_sizes(draws, [0.35, 1.0], [0.75, 4 / 3], 100)
    assert height.max() == width.max() == 100
    fits = (height < 100) & (width < 100)
    share, ratio = (height * width)[fits] / 1e4, (width / height)[fits]
    assert 0.33 < share.min() < 0.37
    assert share.max() > 0.95
    assert 0.73 < ratio.min() < 0.77
    assert 1.3 < ratio.max() < 1.37
