"""The groups of parameters that have learning rates of their own, as shares of the head's."""

from dataclasses import dataclass

from torch import nn

from leafdist.config.schema import OptimConfig
from leafdist.models.freezing import KeepsFrozen, in_head


@dataclass(frozen=True)
class Group:
    """Parameters whose learning rate is `factor` times the head's."""

    name: str
    factor: float
    parameters: list[nn.Parameter]


def group_parameters(model: nn.Module, config: OptimConfig, head: str) -> list[Group]:
    """Return the trainable parameters: one group, unless the layers before the module `head` have other rates.

    `layer_decay` is timm's rule (param_groups_layer_decay): a layer's rate is that of the next one times the decay.
    """
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if config.backbone_factor == config.layer_decay == 1:
        return [Group("all", 1.0, list(trained.values()))]
    body = {name for name in trained if not in_head(name, head)}
    named = [("head", 1.0, [name for name in trained if name not in body])]
    if config.layer_decay < 1:
        assert isinstance(model, KeepsFrozen), "its layers have no order"
        layers = model.layers()
        for depth, names in enumerate(reversed(layers)):
            factor = config.backbone_factor * config.layer_decay**depth
            named.append((f"layer{len(layers) - depth}", factor, [name for name in names if name in body]))
    else:
        named.append(("backbone", config.backbone_factor, [name for name in trained if name in body]))
    groups = [Group(name, factor, [trained[one] for one in names]) for name, factor, names in named if names]
    assert sum(len(group.parameters) for group in groups) == len(trained), "a parameter is in no layer"
    return groups


def describe(groups: list[Group]) -> str:
    """Say in a few words which rates differ from the head's; nothing where none does."""
    if len(groups) == 1:
        return ""
    first, last = groups[1], groups[-1]
    lowest = "" if first is last else f" to {last.factor:.3g} ({last.name})"
    return f"learning rates: times {first.factor:.3g} ({first.name}){lowest} of the head's"
