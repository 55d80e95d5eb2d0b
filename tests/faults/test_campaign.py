"""The fault campaign in short; benchmarks/faults.py is the long form."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.campaign import make_data
from tests.faults.cases import Cases, Row
from tests.faults.terminals import stops

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")  # tests of other files may run between two of these
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    folder: Path = tmp_path_factory.mktemp("faults")
    return Cases(folder, make_data(folder), seed=1)


def check(row: Row, faults: int) -> None:
    print(row)
    assert row.lost == 0, row
    assert row.faults == faults, row


def test_killed_runs_resume_bit_for_bit(cases: Cases) -> None:
    check(cases.kills(1, 1, 4, ("start-up", "saving", "packing")), 4)


def test_two_processes_too(cases: Cases) -> None:
    check(cases.kills(2, 1, 1, ("saving",)), 1)


def test_each_signal_saves_every_step(cases: Cases) -> None:
    check(cases.signals((signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP), 1), 5)


@pytest.mark.parametrize(("way", "world"), [("tee", 1), ("nohup", 2), ("terminal", 1)])
def test_signals_from_outside_lose_no_step(way: str, world: int, cases: Cases) -> None:
    check(stops(cases.job, way, world, 1, cases.dice), 5)


def test_killed_rank_is_named_and_resumed(cases: Cases) -> None:
    check(cases.one_rank_killed(1), 1)


def test_a_damaged_checkpoint_is_passed_over(cases: Cases) -> None:
    check(cases.damage(("model.safetensors",), ("one byte flipped",)), 1)


def test_resumed_on_other_numbers_of_processes(cases: Cases) -> None:
    check(cases.other_worlds((1, 2, 3, 1)), 3)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system: root only")
def test_full_disk_and_read_only_folder(cases: Cases) -> None:
    check(cases.disk_full(), 1)
    check(cases.read_only(), 1)
