"""Statistics of BatchNorm computed anew: averaged weights give other activations than those that were averaged."""

from collections.abc import Collection, Iterable, Sequence

import torch
from torch import nn

from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.data.loader import Loader
from leafdist.data.plan import EpochPlan
from leafdist.data.root_rows import RootRows
from leafdist.distributed.runtime import Runtime
from leafdist.models.batchnorm import BatchNorm
from leafdist.training.model import make_model, without_weights

PHOTOS = 10_000  # at most
BATCH = 64  # rows, fixed: no number depends on the device or on a run's batch size


def trained_layers(configs: Iterable[Config], classes: Sequence[str], runtime: Runtime) -> set[str]:
    """Name the BatchNorm layers whose statistics moved in the training of any of the runs."""
    ways = {(one.model.freeze, one.model.frozen_batchnorm): one for one in configs if trains_body(one)}
    found = set[str]()
    for config in ways.values():
        model = make_model(without_weights(config), classes, runtime).train()
        found |= {name for name, layer in model.named_modules() if isinstance(layer, BatchNorm) and layer.training}
    return found


def trains_body(config: Config) -> bool:
    """Whether more than the head is trained at some time."""
    return config.train.head_epochs < config.train.epochs


def recompute(model: nn.Module, layers: Collection[str], loader: Loader, config: Config, runtime: Runtime) -> int:
    """Replace the statistics of `layers` by their mean over batches of training photos, as evaluation sees these.

    The rule of torch.optim.swa_utils.update_bn, with all other layers in eval mode. The photos are the first ones of
    epoch 0's planned order, in whole batches where there is one. Returns how many were used; `model` ends in eval mode.
    """
    model.eval()
    if not layers:
        return 0
    for name in layers:
        layer = model.get_submodule(name)
        assert isinstance(layer, BatchNorm)
        layer.reset_running_stats()
        layer.momentum = None  # the cumulative mean
        layer.train()
    index = loader.source.index
    photos = len(index.main)
    size, roots = (config.train.batch_size, RootRows.of(config, index, 0)) if index.parts else (BATCH, None)
    plan, batches = EpochPlan(photos, size, config.seed, 0, roots=roots), max(1, min(photos, PHOTOS) // size)
    augment, used = Augment.from_config(config.data).for_evaluation(), 0
    with torch.no_grad(), runtime.autocast(config.train.precision):
        for batch in loader.batches(plan.share(number) for number in range(batches)):
            model(augment(batch.images))
            used += len(batch.images)
    model.eval()
    return used
