"""Fixtures and hooks for all tests; what they import by name lies in tests/helpers/."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.helpers.photos import CLASSES, draw
from tests.helpers.programs import Program, run_program

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each `python -O` of the null GPU compiles torch
pytest_plugins = ["tests.helpers.skips", "tests.helpers.browser"]
for number, action in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    with suppress(ValueError):  # not in the main thread
        signal.signal(number, action)  # nohup and shells in the background ignore them, and what tests start would too


@pytest.fixture(autouse=True)
def signals_stay() -> Iterator[None]:
    """What a test leaves ignored or blocked, programs that later tests start would be deaf to."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    assert {number: signal.getsignal(number) for number in before} == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked


TOGETHER: tuple[str, ...] = (
    "test_slurm.py",
    "test_campaign.py",
    "test_docs.py",
    "test_tracked_run.py",
    "test_export.py",
)
TOGETHER += ("test_card_program.py", "test_web_page.py", "test_report_browser.py")  # they share what takes long to make


class Grouped(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped to mypy
    """Tests go to whichever worker is free, those of a file in TOGETHER to the same one.

    pytest-xdist's own --dist loadgroup does nothing under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        return file if file.endswith(TOGETHER) else nodeid


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first: what is left at the end is short, so that no worker waits long for the others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Grouped:
    return Grouped(config, log)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """3 classes, 17 photos to train on: batches of 8 leave one photo for the last, fewer than two processes."""
    root = draw(tmp_path / "splitted", {"train": 6, "val": 3, "test": 3})
    (root / "train" / CLASSES[2] / "005.png").unlink()
    return root


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Runs train.py or evaluate.py in `tmp_path`; see `run_program`."""
    return partial(run_program, tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
