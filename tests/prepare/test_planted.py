"""Hundreds of planted faults, drawn from a seed: how many are found, and how much of what is said is true."""

from pathlib import Path

import pytest

from leafdist.data.groups import read_groups
from leafdist.prepare.sample import draw_sample
from leafdist.system.unpack import unpack
from tests.helpers.paths import SHARED
from tests.helpers.planted import Score, grow, score

CERTAIN = {"broken file", "wrong ending", "exact copy"}


def check(scores: dict[str, Score], recall: float, precision: float) -> None:
    assert sum(found.planted for found in scores.values()) >= 200
    for kind, found in scores.items():
        assert found.recall >= (1.0 if kind in CERTAIN else recall), kind
        assert found.precision >= (1.0 if kind in CERTAIN else precision), kind


@pytest.mark.slow
def test_planted_faults_in_drawn_photos_found(tmp_path: Path) -> None:
    draw_sample(tmp_path / "raw", per_class=10, side=96)
    garden, report = grow(tmp_path / "raw", None, tmp_path, seed=1)
    check(score(garden, report), recall=0.9, precision=0.9)


@pytest.mark.real
@pytest.mark.slow
def test_planted_faults_in_real_photos_found(tmp_path: Path) -> None:
    data = SHARED / "data"
    if not (data / "leaf256.tar").exists():
        pytest.skip(f"{data / 'leaf256.tar'} is absent")
    unpack(data / "leaf256.tar", tmp_path)
    garden, report = grow(tmp_path / "leaf256", read_groups(data / "leaf_ids.tsv"), tmp_path, seed=2)
    check(score(garden, report), recall=0.9, precision=0.9)
