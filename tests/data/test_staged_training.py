"""`data.stage=true`: where a job's data lies does not matter to what is learned, nor to its requeues."""

import json
from pathlib import Path

import pytest
import yaml

from tests.helpers.files import archived
from tests.helpers.programs import TINY, Program

pytestmark = pytest.mark.slow
STAGED = [*TINY, "--data.stage", "true"]


def test_archive_needs_staging(program: Program, photos: Path) -> None:
    done = program("train.py", "--data.root", archived(photos), *STAGED, "--data.stage", "false")
    assert done.returncode == 2
    assert "with data.stage=true" in done.stderr


def continued(program: Program, root: Path, epochs: int, processes: int = 1) -> str:
    arguments = ["--data.root", root, *STAGED, "--train.epochs", epochs, "--data.resize", 16]
    done = program("train.py", *arguments, processes=processes)
    assert done.returncode == 0, done.stderr
    return done.stdout


def counts(output: str) -> tuple[int, int]:
    lines = [line.split(" ")[0] for line in output.splitlines()]
    return lines.count("staging"), lines.count("found")


def test_requeued_job_finds_or_restages_archive(
    program: Program, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archived(photos)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "one node"))  # `program` leaves Slurm's variables out
    first = continued(program, source, 1)
    assert counts(first) == (1, 0)
    assert counts(continued(program, source, 2)) == (0, 1)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "another node"))
    last = continued(program, source, 3, 2)
    assert counts(last) == (1, 0)
    run = tmp_path / "runs" / "run"
    record = json.loads((run / "run.json").read_text())
    assert [start["step"] for start in record["starts"]] == [0, 3, 6]
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["root"] == str(source)
    assert program("evaluate.py", run).returncode == 0


def test_folder_stages_its_packs_only(
    program: Program, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "node"
    monkeypatch.setenv("TMPDIR", str(node))
    output = continued(program, photos, 1, 2)
    assert output.count("staging") == output.count("packing") == 2
    copies = [path.suffix for path in node.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert sorted(copies) == [".json", ".json", ".u8", ".u8"]
    assert "staging" not in continued(program, photos, 2)
