"""Grad-CAM: the formula, the right place, and both networks."""

import numpy as np
import pytest
import torch
from torch import nn

from leafdist.config.networks import NETWORKS, RESNET50
from leafdist.models.build import build_model
from leafdist.models.gradcam import grad_cam, overlay


@pytest.mark.parametrize(("name", "side"), [("baseline", 64), ("resnet50", 52)])
def test_heat_has_picture_size_and_range(name: str, side: int) -> None:
    model = build_model(name, 4, side).eval()
    images = torch.rand(3, 3, side, side).contiguous(memory_format=torch.channels_last)
    heat = grad_cam(model, NETWORKS[name], images, torch.tensor([0, 1, 3]))
    assert heat.shape == (3, side, side)
    assert heat.min() >= 0
    assert all(top in (0, 1) for top in heat.amax((1, 2)).tolist())
    assert heat.amax() == 1
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def spot_finder() -> nn.Module:
    """A baseline that counts red for class 1 and green for class 2: the answer to where it looks is known."""
    model = build_model("baseline", 3, 64, dropout=0.0).eval()
    for parameter in model.parameters():
        parameter.data.zero_()
    weights = dict(model.named_parameters())
    for channel in (0, 1):
        for stage in (0, 4, 8):
            weights[f"features.{stage}.weight"].data[channel, channel, 1, 1] = 1
        weights["hidden.weight"].data[channel, 64 * channel : 64 * (channel + 1)] = 1  # maps of 8x8, one after another
        weights["head.weight"].data[channel + 1, channel] = 1
    return model


def test_only_the_class_region_is_hot() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[0, 0, 8:24, 8:24] = 1  # red above left
    image[0, 1, 40:56, 40:56] = 1  # green below right
    red, green, none = grad_cam(
        spot_finder(), NETWORKS["baseline"], image.expand(3, -1, -1, -1), torch.tensor([1, 2, 0])
    )
    assert red[10:22, 10:22].mean() > 0.85
    assert red[36:, 36:].max() == 0
    assert green[42:54, 42:54].mean() > 0.85
    assert green[:28, :28].max() == 0
    assert none.max() == 0


def test_formula_matches_the_paper() -> None:
    """Weights from finite differences of the score, which know nothing of hooks."""
    model = build_model("resnet50", 3, 64, seed=3).double().eval()
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    body, tail = nn.Sequential(*list(model.children())[:-2]), model.get_submodule("fc")
    with torch.no_grad():
        maps = body(image)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return tail(pixels.mean((2, 3)))[0, 2]  # type: ignore[no-any-return]

    gradient = torch.autograd.functional.jacobian(score, maps)
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu()
    expected = nn.functional.interpolate(expected[None].float(), (64, 64), mode="bilinear")[0, 0]
    torch.testing.assert_close(grad_cam(model, RESNET50, image, torch.tensor([2]))[0], expected / expected.max())


def test_works_with_frozen_layers_and_inference() -> None:
    model = build_model("resnet50", 3, 64, freeze="all").eval().requires_grad_(requires_grad=False)
    with torch.no_grad():
        assert grad_cam(model, RESNET50, torch.rand(1, 3, 64, 64), torch.tensor([0])).shape == (1, 64, 64)


def test_overlay_colours_only_the_hot() -> None:
    photo = np.full((40, 60, 3), 90, np.uint8)
    heat = torch.zeros(10, 10)
    heat[:, 7:] = 1
    picture = overlay(photo, heat)
    assert picture.shape == photo.shape
    assert picture.dtype == np.uint8
    assert (picture[:, :30] == 90).all()
    assert np.abs(picture[:, 50:] - np.array((205.5, 188, 83))).max() <= 0.5
