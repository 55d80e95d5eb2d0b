"""Whether a SLURM job is worth another start."""

from pathlib import Path
from typing import Any

import pytest

from leafdist.runs.requeue import main
from leafdist.system import files


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.delenv("SIGNALLED", raising=False)
    return tmp_path / "runs" / "run"


def trained(run: Path, step: int, **record: Any) -> None:
    """What a start leaves behind."""
    (run / "last" / f"step-{step:09}").mkdir(parents=True, exist_ok=True)
    starts = [{"step": 0}] * (
        1 + len(files.read_json(run / "run.json")["starts"] if (run / "run.json").exists() else [])
    )
    files.write_json(run / "run.json", {"starts": starts, **record})


@pytest.mark.parametrize(
    ("state", "status"), [("interrupted", 0), ("running", 0), ("failed", 1), ("finished", 1)]
)  # "running" after the end: killed without a word
def test_only_interrupted_runs_are_requeued(state: str, status: int, run: Path) -> None:
    assert main(["start"]) == 0
    trained(run, 5, state=state, reason="why")
    assert main(["end"]) == status


def test_early_end_requeues_after_signals_only(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["start"])
    trained(run, 5, state="interrupted")
    main(["start"])
    assert main(["end"]) == 1, "the state is the earlier start's"
    monkeypatch.setenv("SIGNALLED", "1")
    assert main(["end"]) == 0


def test_job_without_progress_is_given_up(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step, expected in ((0, 0), (3, 0), (3, 0), (3, 1)):
        trained(run, step, state="interrupted")
        assert main(["start"]) == expected
    assert "requeued 2 times and is still at step 3" in capsys.readouterr().out


def test_long_evaluation_is_given_up(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["start"])
    for expected in (0, 0, 1):
        trained(run, 3, state="finished")
        assert main(["start"]) == expected
    assert "requeued 2 times and is still finished and not evaluated" in capsys.readouterr().out


def test_another_job_starts_fresh(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [main(["start"]) for _ in range(3)] == [0, 0, 1]
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert main(["start"]) == 0


def test_non_resuming_run_is_not_requeued(run: Path) -> None:
    main(["start", "--run.resume", "never"])
    trained(run, 5, state="interrupted")
    assert main(["end", "--run.resume", "never"]) == 1


def test_wrong_arguments_end_with_status_2(run: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main(["start", "--optim.lrr", "1"])
    assert left.value.code == 2
    assert not run.exists()
