"""Each operation against torchvision's functional one for the same draw, in float32 and float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide
from torchvision.transforms.v2 import functional as reference

from leafdist.augmentation import color, effects, geometry, trivial

BILINEAR = InterpolationMode.BILINEAR
FACTORS = [0.0, 0.3, 1.0, 1.9]
BOUND = 2e-6


def pictures(count: int = 4, side: int = 37) -> Tensor:
    """Levels (count,3,side,side) uint8: noise, a flat one, a dark one and a gray one first."""
    levels = torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0))
    levels[0], levels[1], levels[2] = 77, levels[1] // 5, levels[2, :1]
    return levels.to(torch.uint8)


@pytest.mark.parametrize(
    ("ours", "theirs", "values"),
    [
        (color.brightness, reference.adjust_brightness, FACTORS),
        (color.contrast, reference.adjust_contrast, FACTORS),
        (color.saturation, reference.adjust_saturation, FACTORS),
        (color.hue, reference.adjust_hue, [-0.25, -0.1, 0.0, 0.25]),
        (trivial.sharpness, reference.adjust_sharpness, FACTORS),
        (trivial.solarize, reference.solarize, [0.0, 0.3, 0.7, 1.0]),
        (lambda images, _: trivial.autocontrast(images), lambda image, _: reference.autocontrast(image), FACTORS),
        (effects.blur, lambda image, sigma: reference.gaussian_blur(image, [3, 3], [sigma]), [0.1, 0.5, 1.0, 2.0]),
    ],
)
def test_equals_torchvision(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], values: list[float]) -> None:
    for dtype in (torch.float32, torch.float64):
        images = pictures().to(dtype) / 255
        before = images.clone()
        found = ours(images, torch.tensor(values, dtype=torch.float64))
        assert found.dtype == dtype
        assert torch.equal(images, before)  # on GPUs the photos that were not chosen are taken from it
        for image, value, one in zip(images, values, found, strict=True):
            assert (one - theirs(image, value)).abs().max() < BOUND


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


def inside(dtype: torch.dtype, side: int, maps: Tensor) -> Tensor:
    """Whether a pixel of the result lies a pixel or more inside the photo (side, side); torchvision fades its edge."""
    ones = torch.ones(1, side, side, 3, dtype=torch.uint8)
    ones[:, 1:-1, 1:-1] = 255
    return geometry.look_up(ones, maps, side, 1)[0, 0].to(dtype) == 1


def test_trivial_equals_torchvision_throughout() -> None:
    """All operations at the lowest, a middle and the highest level, both signs, torchvision's own strengths."""
    space, side = TrivialAugmentWide._AUGMENTATION_SPACE, 40
    assert [name.lower() for name in space] == [name.replace("_", "") for name in trivial.OPERATIONS]
    levels = pictures(4, side)[3:]
    for number, (name, (strengths, signed)) in enumerate(space.items()):
        for level in (0, 1, 15, 30):
            for sign in (-1.0, 1.0) if signed else (1.0,):
                draws = torch.tensor([[(number + 0.5) / 14, (level + 0.5) / 31, (sign + 1.5) / 3, 0.0]]).double()
                chosen = trivial.Chosen.of(draws)
                maps = trivial.moved(chosen, side)
                rows = levels.permute(0, 2, 3, 1).contiguous()
                ours = trivial.colored(geometry.look_up(rows, maps, side, 1), chosen)[0]
                every = strengths(31, side, side)
                strength = 0.0 if every is None else sign * float(every[level])
                one = levels[0] if name in ("Posterize", "Equalize") else levels[0] / 255
                how = TrivialAugmentWide()._apply_image_or_video_transform
                theirs = how(one, name, strength, BILINEAR, {torch.Tensor: None})
                theirs = theirs / 255 if theirs.dtype == torch.uint8 else theirs
                differs = (ours - theirs).abs() * inside(ours.dtype, side, maps)
                assert differs.max() < 2e-5, (name, level, sign)


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
        differs = (geometry.look_up(rows, maps, 30, 1)[0] - theirs).abs() * inside(theirs.dtype, 30, maps * 0 + maps)
        assert differs.max() < 2e-5


@pytest.mark.parametrize(("photo", "size", "finer", "bound"), [(40, 30, 1, 1e-5), (60, 60, 2, 0.06)])
def test_resized_crops_equal_torchvisions(photo: int, size: int, finer: int, bound: float) -> None:
    """Enlarged, equal inside; where it shrinks, torchvision's filter is a triangle and ours the mean of look-ups."""
    steep = torch.linspace(0, 255, photo)
    rows = (steep.view(1, -1, 1, 1) * steep.view(1, 1, -1, 1) / 255).expand(1, photo, photo, 3).to(torch.uint8)
    sizes, draws = (torch.tensor([size]).double(), torch.tensor([size - 4]).double()), torch.tensor([[0.5, 0.5]])
    ours = geometry.look_up(rows, geometry.windows(draws.double(), sizes, photo, 30), 30, finer)[0]
    top, left = (photo - size + 1) // 2, (photo - size + 5) // 2
    image = rows[0].permute(2, 0, 1) / 255
    theirs = reference.resized_crop(image, top, left, size, size - 4, [30, 30], antialias=True)
    assert (ours - theirs)[:, 1:-1, 1:-1].abs().max() < bound


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
