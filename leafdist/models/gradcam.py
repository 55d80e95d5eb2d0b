"""Where a network looked: Grad-CAM (Selvaraju et al. 2017, doi 10.1109/ICCV.2017.74), and its picture over a photo."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from leafdist.models.baseline import Baseline
from leafdist.models.build import HEADS

STAGES = {"baseline": "features", "resnet50": "layer4"}  # whose maps are the last with a place in the picture
COLOURS = np.array([(60, 0, 120), (190, 30, 110), (250, 120, 30), (255, 230, 80)], np.float32)  # cold to hot
OPACITY = 0.7  # of the hottest place


def grad_cam(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Normalised images (B,3,h,w) and classes (B,) -> how much each place speaks for the class, (B,h,w) in 0..1.

    ReLU of the last maps, weighted by the mean gradient of the class's score before the softmax; of a network in eval
    mode. The hottest place of a photo is 1; where nothing speaks for the class, all is 0.
    """
    assert not model.training, "eval() before grad_cam: rows of a batch must not see each other"
    name = "baseline" if isinstance(model, Baseline) else "resnet50"
    seen: dict[str, Tensor] = {}

    def keep(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        seen["scores" if module is head else "maps"] = output

    head, stage = model.get_submodule(HEADS[name]), model.get_submodule(STAGES[name])
    hooks = [module.register_forward_hook(keep) for module in (head, stage)]
    try:
        with torch.enable_grad():
            model(images.detach().requires_grad_())  # a graph is kept though all layers be frozen
            score = seen["scores"].gather(1, labels.unsqueeze(1)).sum()
            (gradient,) = torch.autograd.grad(score, seen["maps"])
    finally:
        for hook in hooks:
            hook.remove()
    weights = gradient.mean((2, 3), keepdim=True)
    heat = (weights * seen["maps"].detach()).sum(1, keepdim=True).relu().float()
    heat = F.interpolate(heat, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    highest = heat.amax((1, 2), keepdim=True)
    return heat / highest.where(highest > 0, 1.0)


def overlay(photo: NDArray[np.uint8] | Tensor, heat: NDArray[np.float32] | Tensor) -> NDArray[np.uint8]:
    """Photo (H,W,3) and heat (h,w) in 0..1 -> the photo, the hotter the more covered with colour, (H,W,3)."""
    below = np.asarray(photo)
    height, width, _ = below.shape
    field = Image.fromarray(np.asarray(heat, np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    hot = np.asarray(field).clip(0, 1)
    stops = np.linspace(0, 1, len(COLOURS))
    colour = np.stack([np.interp(hot, stops, channel) for channel in COLOURS.T], -1)
    share = OPACITY * hot[..., None]
    return (below * (1 - share) + colour * share).round().astype(np.uint8)
