"""configs/sweep.yaml: what an agent of W&B would run trains, each run in its own folder and with W&B's own id."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args
from wandb.wandb_agent import Agent

from leafdist.config.parse import parse_config
from leafdist.config.schema import KEYS
from tests.helpers.paths import REPO
from tests.helpers.trackers import records

SWEEP = yaml.safe_load((REPO / "configs" / "sweep.yaml").read_text())
MACROS = {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [SWEEP["program"]]}


def lowest() -> dict[str, Any]:
    """What a server might choose."""
    space = SWEEP["parameters"].items()
    return {name: rule["values"][0] if "values" in rule else rule["min"] for name, rule in space}


def command(chosen: dict[str, Any]) -> list[str]:
    """As W&B's agent puts it together."""
    args = create_sweep_command_args({"args": {name: {"value": value} for name, value in chosen.items()}})
    words = create_sweep_command(list(SWEEP["command"]))
    known = MACROS | args
    return [part for word in words for part in (known[word[2:-1]] if word.startswith("${") else [word])]


def test_sweep_values_are_accepted_by_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    assert set(SWEEP["parameters"]) <= set(KEYS)
    for name, rule in SWEEP["parameters"].items():
        for value in rule.get("values") or (rule["min"], rule["max"]):
            words = command(lowest() | {name: value})
            assert words[:3] == ["/usr/bin/env", "python", "train.py"]
            section, key = name.split(".")
            assert getattr(getattr(parse_config(words[3:]), section), key) == value


def test_sweep_runs_use_separate_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    assert parse_config(command(lowest())[3:]).run.name == "baseline-abc123"
    monkeypatch.delenv("WANDB_SWEEP_ID")  # an id alone is somebody else's
    assert parse_config(command(lowest())[3:]).run.name == "baseline"


@pytest.mark.slow
def test_agent_trains_under_its_id(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B's agent itself, told by hand what its server would tell it."""
    for name in [name for name in os.environ if name.startswith(("WANDB", "SLURM"))]:
        monkeypatch.delenv(name)
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):  # the agent sets them in this process
        monkeypatch.setenv(name, "")
    place = {"WANDB_SWEEP_ID": "s1", "WANDB_DIR": str(tmp_path), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for name, value in (place | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(REPO)
    agent: Any = Agent(api=None, queue=None, sweep_id="s1")
    extra = ["--train.epochs=1", f"--run.folder={tmp_path / 'runs'}", f"--data.root={photos}", "--track.wandb=offline"]
    agent._sweep_command = [*SWEEP["command"], *extra]
    chosen = {name: {"value": value} for name, value in (lowest() | {"train.batch_size": 8}).items()}
    agent._command_run({"run_id": "abc123", "program": SWEEP["program"], "args": chosen})
    assert agent._run_processes["abc123"].wait() == 0
    run = tmp_path / "runs" / "baseline-abc123"
    assert json.loads((run / "run.json").read_text())["state"] == "finished"
    (piece,) = (run / "wandb").glob("offline-run-*-abc123")
    (record,) = [found["run"] for found in records(piece) if found["type"] == "run"]
    assert (record["run_id"], record["sweep_id"]) == ("abc123", "s1")
    updates = [found["summary"].get("update", {}) for found in records(piece) if found["type"] == "summary"]
    assert any(SWEEP["metric"]["name"] in update for update in updates)
