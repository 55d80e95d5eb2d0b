"""notebooks/leafdist.ipynb from its first cell to its last: an archive of few classes, on two processes."""

import json
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from leafdist.prepare.sample import draw_sample
from tests.helpers.paths import REPO

NOTEBOOK = REPO / "notebooks" / "leafdist.ipynb"
CLASSES = (
    "Cherry___Powdery_mildew",
    "Corn___healthy",
    "Strawberry___Leaf_scorch",
    "Tomato___Tomato_Yellow_Leaf_Curl_Virus",
)
SMALL = {"EPOCHS": 24, "BATCH_SIZE": 8, "PROCESSES": 2}


def test_it_is_kept_without_outputs() -> None:
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_notebook_goes_from_archive_to_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_sample(tmp_path / "drawn", per_class=24, side=96)
    with tarfile.open(tmp_path / "leaves.tar", "w") as archive:
        for name in CLASSES:
            archive.add(tmp_path / "drawn" / name, name)
    notebook = nbformat.read(NOTEBOOK, 4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    settings = SMALL | {"FOLDER": str(tmp_path / "work"), "SOURCE": str(tmp_path / "leaves.tar")}
    parameters.source += "\nSETTINGS += ['--data.resize=32', '--optim.lr=1e-3']"
    parameters.source += "".join(f"\n{name} = {value!r}" for name, value in settings.items())
    monkeypatch.setenv("HOME", str(tmp_path))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()

    run = tmp_path / "work" / "runs" / "baseline"
    result = json.loads((run / "eval-test.json").read_text())
    assert result["accuracy"] > 0.5, "chance is 0.25"
    assert json.loads((run / "run.json").read_text())["starts"][0]["world_size"] == 2
    assert (run / "report.html").stat().st_size > 10_000
    assert list((tmp_path / "work" / "attention").glob("*.jpg"))
    output = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "2 processes on" in output
    assert output.count("image/png") == 4, "photos, counts, curves, mistakes"


@pytest.mark.parametrize("source", [None, "folder", "~/folder", "leaves.tar", "https://host/leaves.tar"])
def test_source_may_be_any_of_these(source: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "folder").mkdir()
    (cell,) = [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if '"sample-data", raw' in cell.source]
    asked = list[str]()
    names: dict[str, Any] = {"SOURCE": source, "raw": tmp_path / "raw", "Path": Path, "PER_CLASS": 1, "SIDE": 8}
    names["leafdist"] = lambda *words: asked.append(words[0])
    exec(cell, names)
    own = source is not None and source.endswith("folder")
    assert asked == ([] if own else ["fetch" if source else "sample-data"])
    assert names["raw"] == tmp_path / ("folder" if own else "raw")
