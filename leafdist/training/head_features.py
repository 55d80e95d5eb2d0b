"""The features before the head, computed once for each photo, where no epoch flips or crops it otherwise."""

from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.data.loader import Loader
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import Judging, evaluate

MOST = 2**30  # bytes of features


class HeadOnFeatures(nn.Module):
    """The head alone: numbers of photos (B,) -> logits (B,C)."""

    def __init__(self, head: nn.Module, features: Tensor) -> None:
        super().__init__()
        self.head, self.features = head, features

    def forward(self, indices: Tensor) -> Tensor:
        """Look features up and score them."""
        return self.head(self.features[indices])  # type: ignore[no-any-return]


class BeforeHead(nn.Module):
    """The network up to its head: (B,3,h,w) -> features (B,F), in any number of threads at once."""

    def __init__(self, model: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.model, self.seen = model, dict[int, Tensor]()
        self.hook = head.register_forward_pre_hook(self._keep)

    def forward(self, images: Tensor) -> Tensor:
        """Run the network, and return what its head was given."""
        self.model(images)
        return self.seen.pop(get_ident())

    def _keep(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.seen[get_ident()] = inputs[0]


def compute_features(config: Config, model: nn.Module, loader: Loader, runtime: Runtime) -> Tensor | None:
    """Return the features (N,F) of all photos, on each rank; None where photos are drawn anew, or are too many."""
    data, augment = config.data, Augment.from_config(config.data)
    head = model.get_submodule(network(config.model.name).head)
    assert isinstance(head, nn.Linear)
    index, columns = loader.source.index, head.in_features
    drawn = augment.hflip or augment.vflip or data.crop not in (0, data.resize)
    if drawn or columns < head.out_features or 8 * len(index) * columns > MOST:
        return None
    before = BeforeHead(model.to(runtime.device), head)
    judging = Judging(runtime.precision, keep_logits=True, columns=columns)
    plain, beat = augment.for_evaluation(), runtime.watchdog.beat
    found = evaluate(before, loader, plain, runtime, judging, between=beat).logits
    before.hook.remove()
    assert found is not None
    return torch.from_numpy(found[: len(index)]).to(runtime.device, head.weight.dtype)
