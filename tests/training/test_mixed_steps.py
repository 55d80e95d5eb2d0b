"""Steps on mixed photos with weighted classes: the loss, the same gradients in any cut, and after a kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig, OptimConfig, TrainConfig
from leafdist.data.loader import Batch
from leafdist.data.mixing import BLEND_COLUMNS, Mixing
from leafdist.data.plan import EpochPlan, Share
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.models.dropout import seek_rows, seek_step
from leafdist.training.step import TrainStep
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events

PHOTOS, SIZE, SIDE, WEIGHTS = 11, 4, 16, [0.5, 2.0, 0.7]


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def step_of(accumulate: int = 1) -> TrainStep:
    config = Config(
        model=ModelConfig(name="baseline", dropout=0.5),
        data=DataConfig(resize=SIDE, hflip=0.5),
        optim=OptimConfig(label_smoothing=0.1),
        train=TrainConfig(batch_size=SIZE, precision="no", accumulate=accumulate),
    )
    model = build_model("baseline", 3, SIDE, seed=0, dropout=0.5)
    return TrainStep(resolve(config), model, Runtime(), 3, class_weights=WEIGHTS)


def batch_of(share: Share) -> Batch:
    indices = torch.from_numpy(share.indices)
    photos = torch.randint(0, 256, (PHOTOS, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    return Batch(share, photos[indices], indices % 3, indices, torch.from_numpy(share.draws))


def plan(mixup: float, cutmix: float) -> EpochPlan:
    return EpochPlan(PHOTOS, SIZE, seed=1, epoch=0, mixing=Mixing(mixup, cutmix, SIDE))


def sums_of(world: int, accumulate: int, mixing: tuple[float, float]) -> list[Tensor]:
    """Loss, hits and gradients of each batch of an epoch, summed over the ranks."""
    found, step, whole = list[Tensor](), step_of(accumulate), plan(*mixing)
    for number in range(len(whole)):
        seek_step(step.dropouts, 0, number, torch.device("cpu"))
        sums = [step._accumulate(batch_of(whole.share(number, rank, world))) for rank in range(world)]
        found += [torch.stack(values).sum() for values in zip(*sums, strict=True)]
        found += [parameter.grad.clone() for parameter in step.trained if parameter.grad is not None]
        step.optimizer.zero_grad()
    return found


@pytest.mark.parametrize("mixing", [(1.0, 0.0), (0.0, 1.0)])
def test_any_cut_gives_same_gradients(mixing: tuple[float, float]) -> None:
    """Of the batches of 4, 4 and 3 photos five ranks leave some without a photo."""
    whole = sums_of(1, 1, mixing)
    assert len(whole) == 3 * (2 + 10)
    for world, accumulate in ((1, 2), (2, 1), (3, 2), (5, 1)):
        for mine, theirs in zip(sums_of(world, accumulate, mixing), whole, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_loss_is_that_of_mixed_labels() -> None:
    """As with targets that are shares of two classes, on photos mixed by the plain formula."""
    step, share = step_of(), plan(1.0, 0.0).share(0)
    batch, own = batch_of(share), float(share.draws[0, -BLEND_COLUMNS])
    seek_step(step.dropouts, 0, 0, torch.device("cpu"))
    loss, hits = step._accumulate(batch)
    images, one_hot = step.augment(batch.images, batch.draws[:, :4]), F.one_hot(batch.labels, 3).double()
    mixed, targets = (own * rows[:-1] + (1 - own) * rows[1:] for rows in (images, one_hot))
    seek_rows(step.dropouts, 0, 8)
    logits = step.model(mixed)
    expected = F.cross_entropy(logits, targets, torch.tensor(WEIGHTS), reduction="sum", label_smoothing=0.1)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(hits, (F.one_hot(logits.argmax(1), 3) * targets).sum())


@pytest.mark.slow
def test_killed_where_mixing_ends_resumes(program: Program, photos: Path, tmp_path: Path) -> None:
    """Two processes, six steps of an epoch, everything on: after the last mixed epoch, bit for bit."""
    common: list[object] = ["--data.root", photos, *TINY, "--train.epochs", 3, "--train.batch_size", 6]
    common += ["--augment.mixup", 0.4, "--augment.cutmix", 1, "--augment.mix_off_epochs", 1]
    common += ["--data.sampling", "sqrt", "--optim.class_weights", "balanced", "--train.save_every", 2]
    whole, parts = tmp_path / "runs" / "whole", tmp_path / "runs" / "parts"
    done = program("train.py", *common, "--run.name", "whole", processes=2)
    assert done.returncode == 0, done.stderr
    assert program("tests/helpers/killed_train.py", 6, *common, "--run.name", "parts", processes=2).returncode != 0
    done = program("train.py", *common, "--run.name", "parts", processes=2)
    assert "epoch 3, step 6" in done.stdout
    assert events(parts) == events(whole)
    for name in ("model", "optimizer"):
        file = f"last/step-000000009/{name}.safetensors"
        assert (parts / file).read_bytes() == (whole / file).read_bytes()
