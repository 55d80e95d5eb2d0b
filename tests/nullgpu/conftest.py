"""The null GPU, built once per session."""

import os

import pytest
from filelock import FileLock

from tests.helpers.null_gpu import NullGpu


@pytest.fixture(scope="session")
def null_gpu(tmp_path_factory: pytest.TempPathFactory) -> NullGpu:
    """Build it."""
    base, session = tmp_path_factory.getbasetemp(), os.environ.get("PYTEST_XDIST_TESTRUNUID")
    folder = base.parent / f"nullgpu-{session}" if session else base / "nullgpu"
    with FileLock(f"{folder}.lock"):  # one for all workers
        return NullGpu(folder)
