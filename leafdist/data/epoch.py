"""The plan of an epoch as a configuration asks for it: which photos, which draws, and whether they are mixed."""

from functools import partial

from leafdist.config.schema import Config
from leafdist.data.index import Index
from leafdist.data.mixing import Mixing
from leafdist.data.plan import EpochPlan, streams
from leafdist.data.root_rows import RootRows
from leafdist.data.sampling import ClassSampling


def plan_of(config: Config, index: Index, epoch: int) -> EpochPlan:
    """Plan epoch number `epoch` (from 0) of a resolved configuration on the photos of `index`. Raises ValueError."""
    augment, sampling, main = config.augment, config.data.sampling, index.main
    mixes = augment.mixes and epoch < config.train.epochs - augment.mix_off_epochs
    return EpochPlan(
        len(main),
        config.train.batch_size,
        config.seed,
        epoch,
        streams(augment),
        sample=None if sampling == "all" else partial(ClassSampling.of(sampling, main, config.seed), epoch),
        mixing=Mixing(augment.mixup, augment.cutmix, config.data.side) if mixes else None,
        roots=RootRows.of(config, index, epoch) if index.parts else None,
    )
