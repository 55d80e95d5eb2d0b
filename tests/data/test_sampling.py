"""Sampling by class: exact counts from any cut, every photo equally often, any position alone."""

from dataclasses import replace

import numpy as np
import pytest

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, TrainConfig
from leafdist.data.epoch import plan_of
from leafdist.data.plan import EpochPlan
from leafdist.data.sampling import ClassSampling, allot, stride_of
from tests.helpers.indexes import index_of

COUNTS = (23, 1, 7, 100, 40)
INDEX = index_of(COUNTS)
SHOWN = {"balanced": [35, 34, 34, 34, 34], "sqrt": [33, 7, 18, 69, 44]}


def plan(kind: str, epoch: int, seed: int = 3) -> EpochPlan:
    data = DataConfig(sampling=kind)  # type: ignore[arg-type]
    return plan_of(resolve(Config(data=data, train=TrainConfig(batch_size=16), seed=seed)), INDEX, epoch)


def seen(kind: str, epoch: int, world: int = 1, seed: int = 3) -> list[int]:
    """Return the photos of an epoch, in order."""
    whole = plan(kind, epoch, seed)
    shares = [whole.share(batch, rank, world) for batch in range(len(whole)) for rank in range(world)]
    return [int(photo) for share in shares if not share.stand_in for photo in share.indices]


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("kind", SHOWN)
def test_epoch_has_exact_counts_of_classes(kind: str, world: int) -> None:
    for epoch in (0, 5):
        photos = seen(kind, epoch, world)
        assert np.bincount(INDEX.labels[photos]).tolist() == SHOWN[kind]
        assert photos == seen(kind, epoch)


@pytest.mark.parametrize("kind", SHOWN)
def test_photos_are_shown_equally_often(kind: str) -> None:
    times = np.zeros(len(INDEX), int)
    for epoch in range(9):
        times += np.bincount(seen(kind, epoch), minlength=len(INDEX))
        for label in range(len(COUNTS)):
            own = times[INDEX.labels == label]
            assert own.max() - own.min() <= 1


def test_any_position_is_known_alone() -> None:
    sampling = ClassSampling.of("sqrt", INDEX, seed=0)
    positions = np.arange(len(INDEX))
    whole = sampling(4, positions)
    assert [int(sampling(4, positions[n : n + 1])[0]) for n in positions] == whole.tolist()
    assert np.array_equal(sampling(4, positions[::-1]), whole[::-1])


def test_what_is_left_out_is_drawn() -> None:
    """A class of 30 of which an epoch shows 20: not the same ones every third epoch, nor in another run."""
    runs = [ClassSampling.of("balanced", index_of([10, 30]), seed) for seed in (1, 2)]
    shown = {frozenset(run(epoch, np.arange(20, 40)).tolist()) for run in runs for epoch in range(12)}
    assert len(shown) > 15


def test_largest_remainders_complete_the_total() -> None:
    assert allot(10, np.array([1.0, 1.0, 1.0])).tolist() == [4, 3, 3]
    assert allot(100, np.array([0.26, 0.35, 0.39]) * 7).tolist() == [26, 35, 39]
    assert allot(7, np.array([1.0, 2.9, 3.0])).tolist() == [1, 3, 3]


def test_strides_lie_near_the_golden_section() -> None:
    strides = {count: stride_of(count) for count in range(1, 400)}
    assert all(np.gcd(stride, count) == 1 for count, stride in strides.items())
    assert all(abs(stride / count - 0.618) < 0.05 for count, stride in strides.items() if count > 100)


def test_class_without_photos_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.sampling=sqrt: train has no photo of 'b'.*set data\.sampling=all"):
        ClassSampling.of("sqrt", index_of([3, 0, 2]), 0)


def test_moved_photos_count_for_their_class() -> None:
    """labels.tsv leaves a photo where it lies, so classes need not stand together."""
    index = index_of(COUNTS)
    mixed = replace(index, labels=np.random.default_rng(0).permutation(index.labels))
    positions = np.arange(len(index))
    photos = ClassSampling.of("balanced", mixed, seed=0)(2, positions)
    as_before = ClassSampling.of("balanced", index, seed=0)(2, positions)
    assert np.bincount(mixed.labels[photos]).tolist() == SHOWN["balanced"]
    assert np.array_equal(mixed.labels[photos], index.labels[as_before])
