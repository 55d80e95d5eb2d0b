"""The null GPU, built once per session."""

import pytest

from tests.helpers.null_gpu import NullGpu


@pytest.fixture(scope="session")
def null_gpu(tmp_path_factory: pytest.TempPathFactory) -> NullGpu:
    """Build it."""
    return NullGpu(tmp_path_factory.mktemp("nullgpu"))
