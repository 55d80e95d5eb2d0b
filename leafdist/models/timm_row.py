"""The row of a network of timm: what its pretrained configuration and a look at its layers say."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from leafdist.config.networks import MEANS, TIMM, Network
from leafdist.models.timm_import import timm
from leafdist.models.weights import HUB, PACKAGED
from leafdist.system.arguments import nearest

Pretrained = timm.models.PretrainedCfg
STAGES = ("stem", "layer1", "layer2", "layer3")  # from layer1 on: quarters of timm's groups of blocks


@cache
def row(name: str) -> Network:
    """Return the row of `name`, such as timm/resnet50 or timm/resnet50.a1_in1k. Raises ValueError."""
    backbone = name.removeprefix(TIMM)
    found = configuration(backbone)
    with torch.device("meta"), torch.no_grad():
        model: nn.Module = timm.create_model(backbone, num_classes=2).eval()  # some have no head by default
        maps = model.forward_features(torch.empty(1, *found.input_size))  # type: ignore[operator]
    head = found.classifier
    if not isinstance(head, str) or not isinstance(model.get_submodule(head), nn.Linear):
        fault = "its head is not one linear layer. Choose another network"
        raise ValueError(f"model.name={name}: {fault}")  # noqa: TRY004 - a user's error
    # channels first, as convolutions have them; a transformer's tokens are no map
    has_map = isinstance(maps, Tensor) and maps.ndim == 4 and maps.shape[1] == model.num_features
    side = found.input_size[-1]
    stride = side // maps.shape[-1] if has_map else 1
    weights = locations(backbone, found)
    known = MEANS | {"none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))}
    return Network(
        name=name,
        title=f"{backbone} of timm",
        description=f"{backbone} (timm's form)",
        build="leafdist.models.timm_backbone:build",
        head=head,
        last_map="last_map" if has_map else "",
        stride=stride,
        least_side=max(found.min_input_size[1:]) if found.min_input_size else stride,
        fixed_side=side if found.fixed_input_size else None,
        has_dropout=True,
        timm=backbone,
        stages=(*STAGES, "all") if len(groups(model)) > 2 else ("all",),
        weights=weights,
        default_weights=next(iter(weights), "none"),
        resize=int(side / found.crop_pct),
        crop=side,
        crop_share=found.crop_pct,
        flip=0.5,
        normalize=next((key for key, pair in known.items() if pair == (found.mean, found.std)), "auto"),
        interpolation=found.interpolation,
    )


def configuration(backbone: str) -> Pretrained:
    """Return timm's pretrained configuration. Raises ValueError, naming what is near, where timm has no such name."""
    name, _, tag = backbone.partition(".")
    if not timm.is_model(name):
        near = nearest(name, timm.list_models())
        hint = f"did you mean {' or '.join(TIMM + one for one in near)}?" if near else "timm.list_models() has them"
        raise ValueError(f"model.name={TIMM}{backbone}: timm {timm.__version__} has no such network; {hint}")
    tags = [known.partition(".")[2] for known in timm.models.get_arch_pretrained_cfgs(name)]
    if tag and tag not in tags:
        raise ValueError(f"model.name={TIMM}{backbone}: no weights {tag}; {name} has {', '.join(tags) or 'none'}")
    return timm.models.get_pretrained_cfg(backbone) or Pretrained()


def locations(backbone: str, found: Pretrained) -> dict[str, str]:
    """List where pretrained weights are, by timm's tag and as `imagenet`: the path of a file or a URL."""
    package, file = PACKAGED.get(backbone.partition(".")[0], ("", ""))
    location = f"{HUB}/{found.hf_hub_id}/resolve/main/model.safetensors" if found.hf_hub_id else f"{found.url or ''}"
    if package and (spec := find_spec(package)) and spec.origin:
        location = str(Path(spec.origin).parent / file)
    return {name: location for name in (found.tag, "imagenet") if name} if location else {}


def groups(model: nn.Module, *, coarse: bool = True) -> list[list[str]]:
    """Return the names of the parameters by timm's stages or, not `coarse`, layers; the head is last."""
    try:
        matcher = model.group_matcher(coarse=coarse)  # type: ignore[operator]
    except (AssertionError, AttributeError):  # networks without groups, or without coarse ones
        return [[], []]
    found: dict[int, list[str]] = timm.models.group_parameters(model, matcher)
    return [found[number] for number in sorted(found)]
