import random
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from leafdist.data.loader import Loader
from leafdist.data.plan import EpochPlan, Purpose, micro_batches, smallest_part
from leafdist.data.source import Rows, RowsOfMasks


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_any_cut_gives_same_samples(world: int, accumulate: int) -> None:
    plan = EpochPlan(num_samples=53, global_batch=17, seed=4, epoch=2)
    for batch in range(len(plan)):
        whole = plan.share(batch)
        for rank in range(world):
            share = plan.share(batch, rank, world)
            assert share.total == whole.total
            for part in [] if share.stand_in else micro_batches(len(share), accumulate):
                place = slice(share.first + part.start, share.first + part.stop)
                np.testing.assert_array_equal(share.indices[part], whole.indices[place])
                np.testing.assert_array_equal(share.draws[part], whole.draws[place])


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_an_epoch_holds_every_sample_once(world: int) -> None:
    plan = EpochPlan(num_samples=50, global_batch=16, seed=0, epoch=0)
    shares = [plan.share(batch, rank, world) for batch in range(len(plan)) for rank in range(world)]
    seen = np.concatenate([share.indices for share in shares if not share.stand_in])
    np.testing.assert_array_equal(np.sort(seen), np.arange(50))


def test_rank_without_rows_gets_stand_in() -> None:
    share = EpochPlan(num_samples=18, global_batch=8, seed=0, epoch=0).share(2, rank=2, world=3)
    assert share.stand_in
    assert share.total == 2
    assert len(share) == 1


def test_mid_epoch_resume_gives_the_rest() -> None:
    plan = EpochPlan(num_samples=1000, global_batch=64, seed=1, epoch=7)
    rest = list(plan.shares(rank=1, world=2, start=5))
    for late, early in zip(rest, list(plan.shares(rank=1, world=2))[5:], strict=True):
        np.testing.assert_array_equal(late.indices, early.indices)
        np.testing.assert_array_equal(late.draws, early.draws)


def test_epochs_differ_and_draws_are_uniform() -> None:
    plans = [EpochPlan(20_000, 20_000, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    draws = [plan.share(0).draws for plan in plans]
    assert all(abs(column.mean() - 0.5) < 0.01 for draw in draws for column in draw.T)
    assert abs(np.corrcoef(draws[0].T) - np.eye(4)).max() < 0.03
    assert len({plan.order(np.arange(8)).tobytes() for plan in plans}) == 3
    assert len({draw[:2].tobytes() for draw in draws}) == 3


@pytest.mark.parametrize("size", [1, 2, 3, 17, 256, 1000, 34_914])
def test_order_shuffles_any_size(size: int) -> None:
    for epoch in range(3):
        order = EpochPlan(size, 1, seed=0, epoch=epoch).order(np.arange(size))
        np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_every_order_is_equally_likely() -> None:
    """Five samples, over 24,000 epochs; and where one of 1,000 goes, over 20,000. Chi-square, within five sigma."""
    five = [tuple(EpochPlan(5, 1, seed=0, epoch=epoch).order(np.arange(5))) for epoch in range(24_000)]
    places = [int(EpochPlan(1000, 1, seed=1, epoch=epoch).order(np.array([77]))[0]) // 50 for epoch in range(20_000)]
    for drawn, kinds in ((five, 120), (places, 20)):
        counts = np.array(list(Counter(drawn).values()))
        assert len(counts) == kinds
        chi_square = ((counts - len(drawn) / kinds) ** 2 / (len(drawn) / kinds)).sum()
        assert abs(chi_square - (kinds - 1)) < 5 * (2 * (kinds - 1)) ** 0.5


def test_order_separates_neighbours() -> None:
    order = EpochPlan(34_914, 1, seed=0, epoch=0).order(np.arange(34_914))
    steps = np.abs(np.diff(order))
    assert abs(steps.mean() / 34_914 - 1 / 3) < 0.01
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.02


def test_huge_plan_costs_only_its_batches() -> None:
    """1,024 ranks take a batch of 262,144, from the middle of an epoch: no sample twice, within a second or so."""
    plan = EpochPlan(100_000_000, 262_144, seed=0, epoch=0)
    shares = [plan.share(200, rank, 1024) for rank in range(1024)]
    assert len(np.unique(np.concatenate([share.indices for share in shares]))) == 262_144


def test_epoch_on_1024_ranks_is_complete() -> None:
    """The last batch has fewer photos than there are ranks."""
    plan = EpochPlan(50_000, 16_384, seed=0, epoch=0)
    shares = [plan.share(batch, rank, 1024) for batch in range(len(plan)) for rank in range(1024)]
    seen = np.concatenate([share.indices for share in shares if not share.stand_in])
    assert sum(share.stand_in for share in shares) == 1024 - 50_000 % 16_384
    np.testing.assert_array_equal(np.sort(seen), np.arange(50_000))


def test_order_and_draws_match_version_one() -> None:
    """A run that was begun with an older version must go on with the same pictures."""
    names = "ORDER AUGMENT EVALUATE DROPOUT GEOMETRY COLOR EFFECTS ERASE TRIVIAL MIX SAMPLE EXTRA BACKGROUND SWAP"
    assert " ".join(one.name for one in sorted(Purpose)) == names, "streams keep their numbers"
    share = EpochPlan(num_samples=1000, global_batch=256, seed=0, epoch=3).share(0)
    assert share.indices[:6].tolist() == [195, 66, 81, 413, 605, 365]
    np.testing.assert_allclose(share.draws[0], [0.606921, 0.138586, 0.496508, 0.909177], atol=1e-6)


@pytest.mark.parametrize(("rows", "accumulate", "max_rows", "sizes"), [
    (10, 1, None, [10]), (10, 3, None, [4, 3, 3]), (10, 1, 4, [4, 3, 3]), (1, 3, None, [1]), (10, 4, 5, [3, 3, 2, 2]),
])  # fmt: skip
def test_micro_batches_are_contiguous_and_nonempty(
    rows: int, accumulate: int, max_rows: int | None, sizes: list[int]
) -> None:
    parts = micro_batches(rows, accumulate, max_rows)
    assert [part.stop - part.start for part in parts] == sizes
    assert [part.start for part in parts] == [sum(sizes[:n]) for n in range(len(sizes))]


@pytest.mark.parametrize(("samples", "batch", "world", "smallest"), [(64, 32, 2, 16), (65, 32, 1, 1), (66, 32, 2, 1)])
def test_smallest_share_is_known_ahead(samples: int, batch: int, world: int, smallest: int) -> None:
    assert smallest_part(samples, batch, world, accumulate=1, max_rows=None) == smallest


@pytest.mark.parametrize("seed", range(50))
def test_resuming_anywhere_gives_same_sequence(seed: int) -> None:
    """The sequence of (sample, draws), for any N, batch, processes, accumulation and stops, drawn at random."""
    dice = random.Random(seed)
    samples, batch, epochs = dice.randrange(1, 200), dice.randrange(1, 70), dice.randrange(1, 4)

    def rows(epoch: int, number: int, world: int, accumulate: int) -> list[tuple[int, list[float]]]:
        plan = EpochPlan(samples, batch, seed, epoch)
        shares = [plan.share(number, rank, world) for rank in range(world)]
        own = [share for share in shares if not share.stand_in]
        kept = [(share, part) for share in own for part in micro_batches(len(share), accumulate)]
        return [
            (int(share.indices[i]), share.draws[i].tolist())
            for share, part in kept
            for i in range(part.start, part.stop)
        ]

    places = [(epoch, number) for epoch in range(epochs) for number in range(-(-samples // batch))]
    whole = [rows(*place, world=1, accumulate=1) for place in places]
    parts, at = [], 0
    while at < len(places):  # a start, from where the last one stopped to a stop drawn at random
        stop, world, accumulate = dice.randrange(at, len(places)) + 1, dice.randrange(1, 9), dice.randrange(1, 5)
        parts += [rows(*place, world=world, accumulate=accumulate) for place in places[at:stop]]
        at = stop
    assert parts == whole


def test_late_resume_starts_as_fast() -> None:
    """10 million samples: what is skipped is never read, and the order is drawn in either case."""

    class Synthetic:
        index: Any = None
        masks: RowsOfMasks | None = None
        reads = 0

        def read(self, indices: NDArray[np.int64]) -> Rows:
            self.reads += 1
            return np.zeros((len(indices), 2, 2, 3), np.uint8), indices % 7

    seconds = []
    for start in (0, 39_000):
        source, began = Synthetic(), time.monotonic()
        plan = EpochPlan(num_samples=10_000_000, global_batch=256, seed=0, epoch=1)
        loader = Loader(source, torch.device("cpu"), workers=0)
        batch = next(loader.batches(plan.shares(0, 1, start)))
        seconds.append(time.monotonic() - began)
        assert batch.indices.tolist() == plan.order(np.arange(start * 256, start * 256 + 256)).tolist()
        assert source.reads == 1
    print("seconds to the first batch, from 0 and from 39,000:", seconds)
    assert seconds[1] < seconds[0] + 1
