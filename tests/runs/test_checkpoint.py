import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, to_dict
from leafdist.runs import checkpoint
from leafdist.runs.checkpoint import Snapshot
from leafdist.runs.facts import CheckpointMeta, Preprocessing
from leafdist.runs.header import parse_header
from leafdist.runs.layout import generations


def trained(steps: int = 2) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    for _ in range(steps):
        model(torch.rand(5, 3, 6, 6)).pow(2).sum().backward()
        optimizer.step()
    return model, optimizer


def test_checkpoint_restores_weights_optimizer_and_state(tmp_path: Path) -> None:
    model, optimizer = trained()
    checkpoint.save_last(tmp_path, 7, Snapshot.of(model, optimizer, {"epoch": 1}))
    other, other_optimizer = trained(steps=0)
    path = checkpoint.newest(tmp_path, print)
    assert path is not None
    assert json.loads((path / "state.json").read_text()) == {"epoch": 1}
    checkpoint.load_model(path, other)
    checkpoint.load_optimizer(path, other_optimizer)
    for first, second in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(first, second)
    for key, value in checkpoint.optimizer_tensors(optimizer).items():
        assert torch.equal(checkpoint.optimizer_tensors(other_optimizer)[key], value)
    weight = next(iter(other.parameters()))
    assert other_optimizer.state[weight]["exp_avg"].stride() == weight.stride(), "fused kernels go by memory"


def test_loaded_tensors_hold_no_file(tmp_path: Path) -> None:
    for fused in (False, True):
        model = nn.Linear(3, 2)
        optimizer = torch.optim.Adam(model.parameters(), fused=fused)
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        checkpoint.save_last(tmp_path, 1, Snapshot.of(model, optimizer, {}))
        checkpoint.load_optimizer(tmp_path / "step-000000001", optimizer)
        assert str(tmp_path) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o027, 0o077])
def test_files_get_the_umasks_mode(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        model, optimizer = trained()
        checkpoint.save_last(tmp_path / "last", 7, Snapshot.of(model, optimizer, {}))
        config = resolve(Config())
        meta = CheckpointMeta(["a"], Preprocessing.from_config(config.data), 3, 0.5, 0.6, config, sha256="")
        checkpoint.save_best(tmp_path / "best", checkpoint.tensors_of(model), meta)
    finally:
        os.umask(before)
    modes = [oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*") if path.is_file()]
    assert modes == [oct(0o666 & ~umask)] * 6


def test_failed_save_frees_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leafdist.system.files.write_json", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save_last(tmp_path, 1, Snapshot.of(*trained(), {}))
    assert list(tmp_path.iterdir()) == []


def test_two_generations_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save_last(tmp_path, step, Snapshot.of(*trained(), {}))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-000000002", "step-000000003"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", [flip, Path.unlink, lambda path: os.truncate(path, 10)])
def test_damaged_newest_checkpoint_is_skipped(name: str, harm: Callable[[Path], None], tmp_path: Path) -> None:
    said: list[str] = []
    for step in (1, 2):
        checkpoint.save_last(tmp_path, step, Snapshot.of(*trained(), {}))
    harm(tmp_path / "step-000000002" / name)
    assert checkpoint.newest(tmp_path, said.append) == tmp_path / "step-000000001"
    assert "step-000000002 is damaged" in said[0]


def test_skipped_checkpoints_go_new_stay(tmp_path: Path) -> None:
    for step in (90, 100):
        checkpoint.save_last(tmp_path, step, Snapshot.of(*trained(), {}))
    flip(tmp_path / "step-000000100" / "state.json")
    assert checkpoint.newest(tmp_path, lambda _: None) == tmp_path / "step-000000090"
    checkpoint.save_last(tmp_path, 95, Snapshot.of(*trained(), {}))
    assert [path.name for path in generations(tmp_path)] == ["step-000000095", "step-000000090"]
    assert {path.name for path in tmp_path.iterdir()} == {"step-000000095", "step-000000090"}


def test_damaged_checkpoint_counts_not_as_kept(tmp_path: Path) -> None:
    for step in (10, 20):
        checkpoint.save_last(tmp_path, step, Snapshot.of(*trained(), {}))
    flip(tmp_path / "step-000000020" / "state.json")
    assert checkpoint.newest(tmp_path, lambda _: None) == tmp_path / "step-000000010"
    checkpoint.save_last(tmp_path, 25, Snapshot.of(*trained(), {}))
    assert [path.name for path in generations(tmp_path)] == ["step-000000025", "step-000000010"]


def test_all_damaged_checkpoints_stop_the_run(tmp_path: Path) -> None:
    checkpoint.save_last(tmp_path, 1, Snapshot.of(*trained(), {}))
    flip(tmp_path / "step-000000001" / "state.json")
    with pytest.raises(ValueError, match="no checkpoint is intact"):
        checkpoint.newest(tmp_path, lambda _: None)


def test_interrupted_save_does_not_count(tmp_path: Path) -> None:
    checkpoint.save_last(tmp_path, 1, Snapshot.of(*trained(), {}))
    shutil.copytree(tmp_path / "step-000000001", tmp_path / ".step-000000002.tmp")
    assert checkpoint.newest(tmp_path, print) == tmp_path / "step-000000001"
    checkpoint.save_last(tmp_path, 2, Snapshot.of(*trained(), {}))
    assert checkpoint.newest(tmp_path, print) == tmp_path / "step-000000002"


def test_best_carries_description_and_checksum(tmp_path: Path) -> None:
    model, _ = trained()
    config = resolve(Config())
    given = CheckpointMeta(["a", "b"], Preprocessing.from_config(config.data), 3, 0.5, 0.6, config, sha256="")
    checkpoint.save_best(tmp_path / "best", checkpoint.tensors_of(model), given)
    tensors, meta = checkpoint.load_best(tmp_path)
    assert replace(meta, sha256="") == given
    written = json.loads((tmp_path / "best" / "meta.json").read_text())
    assert list(written) == [
        "format",
        "classes",
        "preprocessing",
        "epoch",
        "val_accuracy",
        "val_loss",
        "config",
        "sha256",
    ]
    assert (written["format"], written["config"], written["sha256"]) == (1, to_dict(config), meta.sha256)
    assert all(torch.equal(tensors[key], value) for key, value in model.state_dict().items())
    newer = json.loads(json.dumps(written).replace('"epochs"', '"eons"'))
    with pytest.raises(ValueError, match=r"best: its settings cannot be read \(.*eons.*Update leafdist"):
        parse_header({"leafdist": json.dumps(newer)}, tmp_path / "best")
    flip(tmp_path / "best" / "model.safetensors")
    with pytest.raises(ValueError, match="is damaged"):
        checkpoint.load_best(tmp_path)


def test_missing_best_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no best checkpoint"):
        checkpoint.load_best(tmp_path)
