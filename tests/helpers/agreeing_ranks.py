"""Two steps of ResNet-50 on the ranks of a launch: afterwards each of them has the same weights and statistics."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig, TrainConfig
from leafdist.data.loader import Batch
from leafdist.data.plan import EpochPlan
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.training.step import TrainStep

SIDE, SIZE = 40, 5
runtime = Runtime()
config = Config(
    model=ModelConfig(name="resnet50", weights="none", freeze="none"),
    data=DataConfig(resize=SIDE, crop=SIDE - 4),
    train=TrainConfig(batch_size=SIZE, precision="no"),
)
step = TrainStep(resolve(config), build_model("resnet50", 3, SIDE - 4), runtime, steps_per_epoch=2)
step.wrapped.train()
drawn = [tensor.clone() for tensor in step.model.state_dict().values()]
for number in range(2):  # the last batch is of one photo, so that the other ranks have none
    share = EpochPlan(SIZE + 1, SIZE, seed=0, epoch=0).share(number, runtime.rank, runtime.world)
    torch.manual_seed(runtime.rank)
    images = torch.randint(0, 256, (len(share), SIDE, SIDE, 3), dtype=torch.uint8)
    labels, draws = torch.arange(len(share)) % 3, torch.from_numpy(share.draws)
    step(number, Batch(share, images, labels, torch.from_numpy(share.indices), draws))
states = runtime.gather({key: value.clone() for key, value in step.model.state_dict().items()})
for key, value in states[0].items():
    apart = [rank for rank, state in enumerate(states) if not torch.equal(state[key], value)]
    assert not apart or key.endswith("num_batches_tracked"), f"{key} differs on ranks {apart}"
assert not any(torch.equal(*pair) for pair in zip(drawn, states[0].values(), strict=True))
runtime.close()
