"""Cores that other programs or a quota slow down are told with what to set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leafdist.system import contention, processes


def test_quota_of_either_cgroup_version_counts(tmp_path: Path) -> None:
    mine, second = tmp_path / "mine", tmp_path / "docker" / "a"
    second.mkdir(parents=True)
    mine.write_text("0::/docker/a\n")
    (second / "cpu.max").write_text("max 100000\n")
    assert contention.quota(mine, tmp_path) is None
    (tmp_path / "docker" / "cpu.max").write_text("150000 100000\n")
    assert contention.quota(mine, tmp_path) == 1.5
    (tmp_path / "cpu,cpuacct").mkdir()
    (tmp_path / "cpu,cpuacct" / "cpu.cfs_quota_us").write_text("50000\n")
    (tmp_path / "cpu,cpuacct" / "cpu.cfs_period_us").write_text("100000\n")
    mine.write_text("4:cpu,cpuacct:/\n0::/docker/a\n")
    assert contention.quota(mine, tmp_path) == 0.5


@pytest.mark.parametrize(("limit", "cores"), [(2.5, 2), (0.5, 1), (64.0, 4), (None, 4)])
def test_quota_limits_the_cores(limit: float | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "quota", lambda: limit)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert processes.usable_cores() == cores


@pytest.mark.parametrize(
    ("limit", "taken", "threads", "told"),
    [
        (None, 0.1, 4, None),
        (None, 1.8, 4, ("other programs keep 1.8 of 4 cores busy, and 4 threads wait", "`taskset -c 0,1`")),
        (None, 4.0, 4, ("4.0 of 4", "`taskset -c 0`")),
        (None, 3.0, 1, ("3.0 of 4 cores busy", "Wait until they end")),
        (2.0, 1.5, 2, None),  # as many cores are free as the quota allows
        (2.5, 0.0, 2, None),
        (0.5, 0.0, 1, ("a cgroup quota allows 0.5 of 4 cores", "Raise the quota")),
        (4.0, 0.0, 4, None),
    ],
)
def test_slow_cores_are_told_with_advice(
    limit: float | None, taken: float, threads: int, told: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(contention, "quota", lambda: limit)
    monkeypatch.setattr(contention, "busy", lambda cores: taken)
    slowed = contention.slow_cores(threads)
    assert (slowed is None) == (told is None)
    if slowed and told:
        assert told[0] in slowed.text
        assert told[1] in slowed.way_out


def test_times_of_cores_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Core 1 worked for 60 of 100 ticks; core 0 is not ours."""
    stat = tmp_path / "stat"
    stat.write_text("cpu 9 9 9 9 9\ncpu0 0 0 0 0 0 0 0 0\ncpu1 5 0 0 5 0 0 0 0 0 0\ncpu11 1 1 1 1 1 1 1 1\nintr 1\n")
    later = "cpu0 99 0 0 0 0 0 0 0\ncpu1 55 0 10 40 5 0 0 0\n"
    monkeypatch.setattr("time.sleep", lambda _: stat.write_text(later))
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    assert contention.busy({1}, stat) == pytest.approx(0.6)
    assert contention.busy({1}, tmp_path / "missing") == 0
    assert contention.busy({7}, stat) == 0, "a sandbox numbers its cores otherwise"


def test_a_busy_program_is_seen() -> None:
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as burner:
        try:
            assert burner.stdout
            burner.stdout.readline()
            assert contention.busy(set(range(512))) > 0.2
        finally:
            burner.kill()
