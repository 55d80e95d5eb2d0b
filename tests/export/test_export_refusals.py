"""What `leafdist export` refuses, before it writes a file."""

import shutil
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.export import export, onnx_file
from tests.helpers.photos import CLASSES
from tests.helpers.untrained import untrained_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return untrained_run(tmp_path / "run", "baseline", CLASSES)


@pytest.mark.parametrize("made", ["best/model.safetensors", "somewhere/README.md"])
def test_only_earlier_exports_are_replaced(
    made: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    path = copy / made
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text("mine")
    before = path.read_bytes()
    assert main(["export", str(copy), "--formats", "safetensors", "--to", str(path.parent)]) == 2
    assert f"holds {path.name}, which export did not write" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_missing_extra_says_how_to_install(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "NEEDED", ("onnx", "onnxsomething"))
    assert main(["export", str(run.parent / "typo")]) == 2  # the path first: nobody installs a package for a typo
    assert "typo has no best checkpoint" in capsys.readouterr().err
    assert main(["export", str(run)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ONNX needs onnxsomething: pip install -e " in lines[0]


@pytest.mark.parametrize(("flag", "value"), [("--formats", "onnx,tflight"), ("--precision", "int4")])
def test_unknown_format_is_refused_first(flag: str, value: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), flag, value]) == 2
    assert "unknown; known are" in capsys.readouterr().err


@pytest.mark.parametrize("format_", ["pt2", "safetensors"])
def test_export_that_failed_can_be_repeated(format_: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file or the second one: no card names what is not there, and nothing is left that no card names."""
    command, folder = ["export", str(run), "--formats", "pt2,safetensors"], run / "export"
    with monkeypatch.context() as patch:
        patch.setitem(export.TENSORS, format_, (full_disk, export.TENSORS[format_][1]))
        assert main(command) == 2
    assert (folder / "README.md").exists() == (format_ == "safetensors")
    assert format_ == "pt2" or "model.safetensors" not in (folder / "README.md").read_text()
    assert main(command) == 0
    assert "model.safetensors" in (folder / "README.md").read_text()


def full_disk(*_: object) -> None:
    raise ValueError("no room")
