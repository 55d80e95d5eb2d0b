"""The features before the head, computed once for each photo, where no epoch shows it otherwise."""

from functools import partial

import torch
from torch import Tensor, nn

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.data.loader import Loader
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.models.before_head import BeforeHead
from leafdist.system import signals

MOST = 2**30  # bytes of features


class HeadOnFeatures(nn.Module):
    """The head alone: numbers of photos (B,) -> logits (B,C)."""

    def __init__(self, head: nn.Module, features: Tensor) -> None:
        super().__init__()
        self.head, self.features = head, features

    def forward(self, indices: Tensor) -> Tensor:
        """Look features up and score them."""
        return self.head(self.features[indices])  # type: ignore[no-any-return]


def compute_features(config: Config, model: nn.Module, loader: Loader, runtime: Runtime) -> tuple[Tensor | None, str]:
    """Return the features (N,F) of all photos, on each rank, or None; and for the log, how the head is trained.

    Raises Interrupted.
    """
    augment, more = Augment.from_config(config.data), config.augment
    cropped = config.data.crop not in (0, config.data.resize)
    head = model.get_submodule(network(config.model.name).head)
    assert isinstance(head, nn.Linear)
    index, columns = loader.source.index, head.in_features
    # evaluate takes features for logits: its loss looks up the column of the label, so there must be as many
    reasons = {
        "photos are augmented or mixed anew in each epoch": more.draws_anew or more.mixes or more.background,
        "photos are flipped or cropped anew in each epoch": augment.hflip or augment.vflip or cropped,
        "there are fewer features than classes": columns < head.out_features,
        "the features of all photos take too much memory": 8 * len(index) * columns > MOST,
    }
    if why_not := next((reason for reason, applies in reasons.items() if applies), None):
        return None, f"behind the whole network: {why_not}"
    before = BeforeHead(model.to(runtime.device), head)
    judging = Judging(runtime.precision, keep_logits=True, columns=columns)
    found = evaluate(before, loader, augment.for_evaluation(), runtime, judging, between=partial(_poll, runtime)).logits
    before.hook.remove()
    assert found is not None
    features = torch.from_numpy(found[: len(index)]).to(runtime.device, head.weight.dtype)
    return features, "on features that were computed once"


def _poll(runtime: Runtime) -> None:
    """Leave, all ranks together, when one was told to."""
    runtime.watchdog.beat()
    if any(runtime.highest(signals.received() is not None)):
        raise signals.Interrupted("interrupted while features were computed: no step is lost")
