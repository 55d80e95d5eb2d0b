"""Grad-CAM (Selvaraju et al. 2017, doi 10.1109/ICCV.2017.74): where a network looked, and that drawn over a photo."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from leafdist.config.networks import Network

COLOURS = np.array([(60, 0, 120), (190, 30, 110), (250, 120, 30), (255, 230, 80)], np.float32)  # cold to hot
OPACITY = 0.7  # of the colour where it is hottest


def grad_cam(model: nn.Module, network: Network, images: Tensor, labels: Tensor) -> Tensor:
    """Return how much each pixel of (B,3,h,w) speaks for the classes (B,): (B,h,w), 1 at each photo's maximum.

    ReLU of the last maps, weighted by the mean gradient of the class's score before the softmax. `model` is in eval
    mode; `images` are normalised. A photo where nothing speaks for its class is 0 everywhere.
    """
    assert network.last_map, f"{network.name} has no feature map"
    assert not model.training, "eval() before grad_cam: rows of a batch must not see each other"
    outputs: dict[str, Tensor] = {}

    def keep(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        outputs["scores" if module is head else "maps"] = output

    head, last_map = model.get_submodule(network.head), model.get_submodule(network.last_map)
    with head.register_forward_hook(keep), last_map.register_forward_hook(keep), torch.enable_grad():
        model(images.detach().requires_grad_())  # a graph even if all layers are frozen
        score = outputs["scores"].gather(1, labels.unsqueeze(1)).sum()
        (gradient,) = torch.autograd.grad(score, outputs["maps"])
    weights = gradient.mean((2, 3), keepdim=True)
    heat = (weights * outputs["maps"].detach()).sum(1, keepdim=True).relu().float()
    heat = F.interpolate(heat, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    highest = heat.amax((1, 2), keepdim=True)
    return heat / highest.where(highest > 0, 1.0)


def overlay(photo: NDArray[np.uint8] | Tensor, heat: NDArray[np.float32] | Tensor) -> NDArray[np.uint8]:
    """Colour the photo (H,W,3) by the heat (h,w) from 0 to 1: the hotter, the less of the photo is seen."""
    below = np.asarray(photo)
    height, width, _ = below.shape
    field = Image.fromarray(np.asarray(heat, np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    hot = np.asarray(field).clip(0, 1)
    stops = np.linspace(0, 1, len(COLOURS))
    colour = np.stack([np.interp(hot, stops, channel) for channel in COLOURS.T], -1)
    share = OPACITY * hot[..., None]
    return (below * (1 - share) + colour * share).round().astype(np.uint8)
