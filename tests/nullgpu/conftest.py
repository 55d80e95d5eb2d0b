"""The null GPU, built once per session."""

import os

import pytest
from filelock import FileLock

from tests.helpers.null_gpu import NullGpu


@pytest.fixture(scope="session")
def null_gpu(tmp_path_factory: pytest.TempPathFactory) -> NullGpu:
    """Build it."""
    folder = tmp_path_factory.getbasetemp().parent / f"nullgpu-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    with FileLock(f"{folder}.lock"):  # one for all workers
        return NullGpu(folder)
