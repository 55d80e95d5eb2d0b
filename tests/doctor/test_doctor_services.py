"""`leafdist doctor`: what comes from elsewhere, each thing missing once."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, ModelConfig, TrackConfig
from leafdist.doctor import services, slurm
from tests.helpers.doctoring import HERE, bad, fine, settings


@pytest.fixture
def no_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, no home, and a server that nobody runs."""
    for name in [name for name in os.environ if name.startswith("WANDB_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    yield
    from leafdist.tracking.wandb_client import stop_service

    stop_service()


@pytest.mark.usefixtures("no_wandb")
def test_wandb_without_key_or_server_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    online = settings(track=TrackConfig(wandb="online"))
    assert "no API key for http://127.0.0.1:9" in bad(services.check_wandb(online), "wandb", "warning")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert "Connection refused" in bad(services.check_wandb(online), "wandb", "warning")
    assert "Connection refused" in fine(services.check_wandb(settings(track=TrackConfig())))[0].text
    fine(services.check_wandb(settings()))


@pytest.mark.usefixtures("no_wandb")
def test_wandb_mode_of_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert fine(services.check_wandb(settings(track=TrackConfig())))[0].text.startswith("offline, as WANDB_MODE")


def test_missing_or_damaged_weights_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    resnet = resolve(Config())
    text = bad(services.check_weights(resnet), "weights")
    cached = tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth"
    assert f"at {cached}" in text
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half of it")
    assert "is damaged" in bad(services.check_weights(resnet), "weights")
    wrong = resolve(Config(model=ModelConfig(weights="IMAGENET1K_V9")))
    assert "no such file" in bad(services.check_weights(wrong), "weights")
    fine(services.check_weights(settings()))
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "model.safetensors").touch()
    fine(services.check_weights(resolve(Config(model=ModelConfig(weights=str(tmp_path))))))


JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "2", "SLURM_TMPDIR": "/tmp"}


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """It answers of a job that is requeued."""
    path = tmp_path / "scontrol"
    path.write_text("#!/bin/sh\necho JobId=7 Requeue=1\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return path


@pytest.mark.usefixtures("scontrol")
@pytest.mark.parametrize(
    ("changes", "world", "status", "text"),
    [
        ({"LEAFDIST_EXPECT_WORLD": "4"}, 2, "error", "LEAFDIST_EXPECT_WORLD=4, and 2 processes joined"),
        ({}, 1, "warning", "on 2 nodes, 1 process"),
        ({"SLURM_GPUS_ON_NODE": "4"}, 2, "warning", "4 GPUs on this node, and 1 process"),
        ({"SLURM_TMPDIR": "/nowhere"}, 2, "error", "SLURM_TMPDIR=/nowhere is no folder"),
    ],
)
def test_job_unlike_its_launch_is_reported(changes: dict[str, str], world: int, status: str, text: str) -> None:
    fine(slurm.check(JOB, replace(HERE, world=2)))
    assert text in bad(slurm.check(JOB | changes, replace(HERE, world=world)), "slurm", status)


def test_job_without_requeue_is_reported(scontrol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = replace(HERE, world=2)
    scontrol.write_text("#!/bin/sh\necho JobId=7 Requeue=0\n")
    assert "not requeued" in fine(slurm.check(JOB, launch))[-1].text
    monkeypatch.setenv("PATH", "/nowhere")
    assert "scontrol does not work here" in bad(slurm.check(JOB, launch), "slurm", "warning")
