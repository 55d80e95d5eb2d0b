"""Trackers away from the W&B of whoever runs the tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafdist.tracking import wandb_client


@pytest.fixture
def own_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, no home, no W&B server, no proxy from outside; a wandb that has not read its settings yet."""
    for name in list(os.environ):
        if name.startswith("WANDB_") or name.lower().endswith("_proxy") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    yield
    wandb_client.stop_service()
