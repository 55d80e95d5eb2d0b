"""Mixup and CutMix: as torchvision's, drawn as they should be, the same rows in any cut of the batch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from leafdist.config.resolve import resolve
from leafdist.config.schema import AugmentConfig, Config, DataConfig, TrainConfig
from leafdist.data.epoch import plan_of
from leafdist.data.mixing import BLEND_COLUMNS, Mixing, mix
from leafdist.data.plan import EpochPlan, micro_batches, uniform_rows
from tests.helpers.indexes import index_of

SIDE = 24
DRAWN = uniform_rows(np.array([1, 2], np.uint64), 0, 4000)


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_any_cut_mixes_same_pairs(world: int, accumulate: int) -> None:
    """The partner of each row is the next one of the global batch, with its own draws."""
    plan = EpochPlan(53, 17, seed=4, epoch=2, mixing=Mixing(1.0, 1.0, SIDE))
    plain = EpochPlan(53, 17, seed=4, epoch=2)
    for batch in range(len(plan)):
        whole = plain.share(batch)
        for rank in range(world):
            share = plan.share(batch, rank, world)
            assert (len(share), share.first) == (len(plain.share(batch, rank, world)), share.first)
            np.testing.assert_array_equal(share.own, plain.share(batch, rank, world).indices)
            for part in micro_batches(len(share), accumulate):
                rows = np.arange(part.start, part.stop + 1)
                places = (share.first + rows) % share.total
                np.testing.assert_array_equal(share.indices[rows], whole.indices[places])
                np.testing.assert_array_equal(share.draws[rows, :-BLEND_COLUMNS], whole.draws[places])
            np.testing.assert_array_equal(
                share.draws[:, -BLEND_COLUMNS:],
                np.tile(plan.share(batch).draws[0, -BLEND_COLUMNS:], (len(share) + 1, 1)),
            )


@pytest.mark.parametrize("number", range(8))
def test_mixup_is_torchvisions(number: int) -> None:
    images = torch.rand(6, 3, SIDE, SIDE)
    blend = Mixing(0.4, 0, SIDE).blend(DRAWN[number])
    lam = stats.beta.ppf(DRAWN[number, 1], 0.4, 0.4)
    assert blend.share == pytest.approx(lam)
    theirs = v2.MixUp(num_classes=3).transform(images.flip(0), {"lam": lam, "labels": None, "batch_size": 6})
    torch.testing.assert_close(mix(images, torch.tensor(blend, dtype=torch.float64)), theirs.flip(0)[:5])


@pytest.mark.parametrize("number", range(16))
def test_cutmix_is_torchvisions(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the same numbers: the box, clipped at the border, its pixels and the share of the labels."""
    images = torch.rand(6, 3, SIDE, SIDE)
    _, quantile, y, x = DRAWN[number]
    blend = Mixing(0, 1.0, SIDE).blend(DRAWN[number])
    transform = v2.CutMix(num_classes=3)
    transform._dist = SimpleNamespace(sample=lambda _: torch.tensor(stats.beta.ppf(quantile, 1, 1)))
    middles = iter([torch.tensor([int(x * SIDE)]), torch.tensor([int(y * SIDE)])])
    monkeypatch.setattr(torch, "randint", lambda *_, **__: next(middles))
    params = transform.make_params([images])
    assert (blend.left, blend.top, blend.right, blend.bottom) == params["box"]
    assert blend.share == pytest.approx(params["lam_adjusted"])
    theirs = transform.transform(images.flip(0), params | {"labels": None, "batch_size": 6})
    assert torch.equal(mix(images, torch.tensor(blend, dtype=torch.float64)), theirs.flip(0)[:5])


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_follow_their_beta_distribution(alpha: float) -> None:
    shares = [Mixing(alpha, 0, SIDE).blend(row).share for row in DRAWN]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_both_get_half_the_batches() -> None:
    boxes = [Mixing(0.2, 1.0, SIDE).blend(row).weight == 1 for row in DRAWN]
    assert abs(np.mean(boxes) - 0.5) < 0.03


def test_each_batch_draws_its_own() -> None:
    shares = [
        tuple(share.draws[0, -BLEND_COLUMNS:])
        for epoch in range(3)
        for share in EpochPlan(40, 8, 0, epoch, mixing=Mixing(1.0, 0, SIDE)).shares(0, 1)
    ]
    assert len(set(shares)) == 15


def test_mixing_ends_with_its_epochs() -> None:
    augment = AugmentConfig(cutmix=1.0, mix_off_epochs=2)
    config = resolve(Config(augment=augment, train=TrainConfig(epochs=5, batch_size=4), data=DataConfig(resize=64)))
    shares = [plan_of(config, index_of([5, 4]), epoch).share(1) for epoch in range(5)]
    assert [share.mixed for share in shares] == [True, True, True, False, False]
    assert [share.draws.shape for share in shares[2:4]] == [(5, 4 + BLEND_COLUMNS), (4, 4)]
