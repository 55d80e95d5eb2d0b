"""`leafdist runs`: each run a row, whatever became of it."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from filelock import FileLock

from leafdist.__main__ import main
from leafdist.config.schema import ModelConfig
from leafdist.runs.cli import span
from leafdist.runs.listing import list_runs, ordered
from tests.helpers.run_folders import evaluated, make_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    evaluated(make_run(folder, "done", best=0.75), accuracy=0.5)
    evaluated(make_run(folder, "better", best=0.5, model=ModelConfig(name="baseline")), accuracy=0.625)
    make_run(folder, "stopped", epochs=1, state="interrupted")
    make_run(folder, "killed", epochs=0, state="running")
    (folder / "notes").mkdir()
    (folder / ".hidden").mkdir()
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["runs", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()[1:]]


def test_row_tells_progress(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {line.split()[0]: line for line in printed(capsys, runs).splitlines()[1:]}
    assert rows["done"].split()[1:-2] == ["resnet50", "finished", "2", "of", "3", "0.7500", "0.5000", "104", "0"]
    assert rows["better"].split()[1] == "baseline"
    assert rows["stopped"].split()[2:7] == ["interrupted", "1", "of", "3", "0.7500"]
    assert rows["killed"].split()[2:9] == ["dead?", "0", "of", "3", "-", "-", "-"]
    assert len(rows) == 4


def test_run_counts_while_process_lives(runs: Path) -> None:
    with FileLock(runs / "killed" / ".lock"):
        assert {row.name: row.state for row in list_runs(runs)}["killed"] == "running"


def test_rows_sort_with_unknown_last(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names(printed(capsys, runs, "--sort", "val"))[:3] == ["done", "stopped", "better"]
    assert names(printed(capsys, runs, "--sort", "test"))[:2] == ["better", "done"]
    assert names(printed(capsys, runs, "--sort", "test", "--reverse"))[:2] == ["done", "better"]
    assert names(printed(capsys, runs, "--sort", "name")) == ["better", "done", "killed", "stopped"]
    assert {row.name for row in ordered(list_runs(runs), "val")[3:]} == {"killed"}


def test_rows_filter_by_state_model_name(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(names(printed(capsys, runs, "--state", "dead", "--state", "interrupted"))) == ["killed", "stopped"]
    assert names(printed(capsys, runs, "--model", "baseline")) == ["better"]
    assert names(printed(capsys, runs, "--name", "DON")) == ["done"]
    assert printed(capsys, runs, "--name", "nothing") == ""


def test_json_holds_numbers(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = {row["name"]: row for row in json.loads(printed(capsys, runs, "--json"))}["done"]
    assert (done["val"], done["test"], done["epoch"], done["epochs"], done["problem"]) == (0.75, 0.5, 2, 3, None)


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "eval-test.json", "best/model.safetensors"])
@pytest.mark.parametrize("text", ["", "[", "[]", '{"state": 3, "starts": 4}'])
def test_damaged_run_is_a_row(name: str, text: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "stopped" / name).write_text(text)
    shown = printed(capsys, runs)
    assert len([line for line in shown.splitlines() if line.startswith("done ")]) == 1
    damage = [line for line in shown.splitlines() if line.startswith("stopped: ")]
    assert len(damage) == 1, shown
    assert Path(name).name in damage[0]


def test_new_run_and_run_without_settings(runs: Path) -> None:
    (runs / "done" / "run.json").unlink()
    (runs / "better" / "config.yaml").unlink()
    states = {row.name: row for row in list_runs(runs)}
    assert states["done"].state == "new"
    assert "no config.yaml" in str(states["better"].problem)


def test_age_counts_from_last_sign(runs: Path) -> None:
    os.utime(runs / "killed" / "metrics.jsonl", times=(time.time() - 7200,) * 2)
    ages = {row.name: row.age for row in list_runs(runs)}
    assert ages["killed"] == pytest.approx(7200, abs=60)
    assert ages["done"] == pytest.approx(0, abs=60)
    assert [span(seconds) for seconds in (5, 300, 7200, 3 * 86400)] == ["5 s", "5 min", "2 h", "3 d"]


def test_thousand_runs_take_a_second(runs: Path) -> None:
    for number in range(1000):
        copy = runs / f"copy-{number}"
        copy.mkdir()
        for name in ("run.json", "config.yaml", "metrics.jsonl", "eval-test.json"):
            shutil.copy(runs / "done" / name, copy)
    began = time.process_time()  # of other processes' work it is free
    assert len(list_runs(runs)) == 1004
    assert time.process_time() - began < 1.5


def test_what_is_no_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(tmp_path / "absent")]) == 2
    assert "absent is not a folder of runs" in capsys.readouterr().err


def test_rates_of_many_layers_are_read(tmp_path: Path) -> None:
    run = make_run(tmp_path, "deep", epochs=1, state="running")
    rates = {f"layer{number}": 0.001234567890123456 for number in range(90)}
    with (run / "metrics.jsonl").open("a") as file:
        for step in range(9, 12):
            line = {"event": "step", "epoch": 4, "step": step, "loss": 1.0, "lr": 0.001, "images_per_second": 9.0}
            file.write(json.dumps(line | {"rates": rates}) + "\n")
    (row,) = list_runs(tmp_path)
    assert row.epoch == 4
