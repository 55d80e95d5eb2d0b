"""What the plan's draws do to a batch: through Augment, as the training step calls it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from leafdist.augmentation import chosen, effects, pipeline
from leafdist.config.schema import AugmentConfig
from leafdist.data.augment import Augment
from leafdist.data.plan import EpochPlan, Purpose, streams

EVERYTHING = AugmentConfig(scale=[0.3, 1.0], rotate=20, color=0.4, gray=0.2, blur=0.5, erase=0.5, trivial=True)
EACH = [
    AugmentConfig(scale=[0.3, 1.0]),
    AugmentConfig(rotate=20),
    AugmentConfig(color=0.4),
    AugmentConfig(gray=0.2),
    AugmentConfig(blur=0.5),
    AugmentConfig(erase=0.5),
    AugmentConfig(trivial=True),
    EVERYTHING,
]


def batch(more: AugmentConfig, count: int = 23) -> tuple[Tensor, Tensor]:
    images = torch.randint(0, 256, (count, 30, 30, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    draws = EpochPlan(count, count, seed=0, epoch=0, streams=streams(more)).share(0).draws
    return images, torch.from_numpy(draws)


def drawn(more: AugmentConfig) -> Augment:
    return Augment(crop=21, hflip=0.5, vflip=0.5, normalize="imagenet", more=more)


@pytest.mark.parametrize("more", EACH)
def test_rows_are_the_same_however_cut(more: AugmentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ranks and micro-batches take, and whatever part a CPU works on at a time."""
    augment, (images, draws) = drawn(more), batch(more)
    whole = augment(images, draws)
    monkeypatch.setattr(pipeline, "PART", 3 * 21**2 * 4)
    for cut in (1, 8, 14):
        parts = [augment(images[rows], draws[rows]) for rows in (slice(cut), slice(cut, None))]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("more", EACH)
def test_gpus_way_gives_the_same(more: AugmentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    augment, (images, draws) = drawn(more), batch(more)
    by_rows = augment(images, draws)
    monkeypatch.setattr(chosen, "_on_few", chosen._on_all)
    assert torch.equal(augment(images, draws), by_rows)


def test_draws_mean_what_torchvision_does() -> None:
    """Each draw at its strength, in the documented order: brightness to hue, then gray, then blur."""
    more, side = AugmentConfig(color=0.4, gray=0.3, blur=0.5), 60
    images = torch.randint(0, 256, (23, 70, 70, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    draws = batch(more)[1]
    plain, found = (Augment(side, 0.5, 0.5, "none", one)(images, draws) for one in (AugmentConfig(), more))
    for photo, ours, row in zip(plain, found, draws.tolist(), strict=True):
        light, contrast, saturation, hue = (0.4 * (2 * draw - 1) for draw in row[4:8])
        theirs = reference.adjust_contrast(reference.adjust_brightness(photo, 1 + light), 1 + contrast)
        theirs = reference.adjust_hue(reference.adjust_saturation(theirs, 1 + saturation), hue / 4)
        gray, blur, sigma = row[8] < 0.3, row[9] < 0.5, 0.1 + 1.9 * row[10]
        theirs = reference.rgb_to_grayscale(theirs, 3) if gray else theirs
        theirs = reference.gaussian_blur(theirs, [7, 7], [sigma, sigma]) if blur else theirs
        assert (ours - theirs).abs().max() < 1e-5
    assert {(row[8] < 0.3, row[9] < 0.5) for row in draws.tolist()} == {
        (a, b) for a in (True, False) for b in (True, False)
    }


def test_drawn_rotation_is_torchvisions() -> None:
    """Flipped, turned by up to `rotate` degrees, and cropped, all by the plan's draws."""
    more = AugmentConfig(rotate=20)
    images, draws = batch(more)
    for photo, ours, row in zip(
        images, Augment(21, 0.5, 0.5, "none", more)(images, draws), draws.tolist(), strict=True
    ):
        theirs = photo.permute(2, 0, 1) / 255
        theirs = reference.hflip(theirs) if row[0] < 0.5 else theirs
        theirs = reference.vflip(theirs) if row[1] < 0.5 else theirs
        theirs = reference.rotate(theirs, 20 * (2 * row[6] - 1), InterpolationMode.BILINEAR)
        top, left = int(row[2] * 10), int(row[3] * 10)
        theirs = reference.crop(theirs, top, left, 21, 21)
        edge = torch.ones(1, 30, 30)
        whole = (
            reference.crop(reference.rotate(edge, 20 * (2 * row[6] - 1), InterpolationMode.BILINEAR), top, left, 21, 21)
            > 0.999
        )
        assert ((ours - theirs).abs() * whole).max() < 2e-5


def test_each_part_has_its_own_draws() -> None:
    """What is on beside it changes nothing of what a part does."""
    more = AugmentConfig(erase=0.5)
    alone, both = (drawn(one)(*batch(one)) == 0 for one in (more, replace(more, color=0.4)))
    draws = torch.from_numpy(EpochPlan(23, 23, seed=0, epoch=0, streams=[Purpose.ERASE]).share(0).draws)
    expected = effects.erased(torch.ones(23, 3, 21, 21), draws[:, 4:], 0.5) == 0
    assert torch.equal(alone, expected)
    assert torch.equal(both, expected)


@pytest.mark.parametrize("more", [AugmentConfig(), *EACH])
def test_evaluation_draws_nothing(more: AugmentConfig) -> None:
    images, _ = batch(more)
    assert torch.equal(drawn(more).for_evaluation()(images), Augment(crop=21, normalize="imagenet")(images))


@pytest.mark.parametrize("more", EACH)
def test_faint_augmentation_is_none(more: AugmentConfig) -> None:
    """At strengths that change nothing, both ways to flip, crop and normalise agree."""
    faint = replace(more, scale=more.scale and [1.0, 1.0], ratio=[1.0, 1.0], rotate=1e-9 * (more.rotate > 0))
    faint = replace(faint, color=1e-9 * (more.color > 0), gray=1e-9, blur=1e-9, erase=1e-9)
    (images, draws), plain = batch(faint), drawn(AugmentConfig())
    if more.trivial:
        draws[:, -4] = 0  # the identity
    if more.scale:
        plain = replace(plain, crop=0)
    augment = replace(drawn(faint), crop=plain.crop)
    assert (augment(images, draws) - plain(images, draws[:, :4])).abs().max() < 1e-4


def test_double_is_kept() -> None:
    augment, (images, draws) = drawn(EVERYTHING), batch(EVERYTHING)
    single = augment(images, draws)
    torch.set_default_dtype(torch.float64)
    try:
        double = augment(images, draws)
    finally:
        torch.set_default_dtype(torch.float32)
    assert double.dtype == torch.float64
    assert (double - single).abs().flatten(1).amax(1).median() < 1e-4  # a level may round otherwise in some


@pytest.mark.parametrize(("photo", "scale", "finer"), [(30, [0.3, 1.0], 1), (64, [0.1, 0.25], 2), (21, [0.1, 0.2], 1)])
def test_shrinking_looks_up_finer(photo: int, scale: list[float], finer: int) -> None:
    settings = AugmentConfig(scale=scale)
    assert pipeline.Pipeline(settings, 21, 0.5, 0.5, "none").finer(photo) == finer
