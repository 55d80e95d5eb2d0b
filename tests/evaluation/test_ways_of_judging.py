"""Each way of judging a run has its own files, and a run that one may only read is judged all the same."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leafdist.compare.compare import compare
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import assess as assessment
from leafdist.evaluation import fitted
from leafdist.evaluation.assess import Request, assess, check
from leafdist.report import write as report
from leafdist.runs.facts import RunFacts, Start, write_facts
from leafdist.runs.layout import RunLayout
from leafdist.runs.listing import glance
from leafdist.runs.load import load_run
from leafdist.runs.record import RunRecord
from tests.helpers.files import tree
from tests.helpers.photos import CLASSES, draw
from tests.helpers.untrained import untrained_run


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    made = Runtime()
    yield made
    made.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    photos = draw(tmp_path / "splitted", {"train": 1, "val": 2, "test": 4})
    return untrained_run(tmp_path / "run", "baseline", CLASSES, root=str(photos))


@pytest.fixture
def leaves(tmp_path: Path) -> Path:
    """Ids by which all photos of a class show one leaf."""
    rows = [f"{name}\t{number:03}\tone" for name in CLASSES for number in range(4)]
    (tmp_path / "ids.tsv").write_text("\n".join(["class\tstem\tleaf_id", *rows]))
    return tmp_path / "ids.tsv"


def test_plain_result_outlives_other_ways(run: Path, leaves: Path, runtime: Runtime, tmp_path: Path) -> None:
    assess(run, Request(), runtime)
    plain = tree(run)
    elsewhere = str(draw(tmp_path / "field+tta", {"test": 2}))
    for request in (
        Request(flips=True),
        Request(groups=leaves),
        Request(groups=leaves, flips=True),
        Request(root=elsewhere),
        Request(root=elsewhere, flips=True),
        Request("val"),
    ):
        assess(run, request, runtime)
    after = tree(run)
    assert {name: after[name] for name in plain} == plain
    names = {name.removesuffix(".json") for name in after if name.startswith("eval-")}
    ways = ("", "+tta", "+leaves", "+tta+leaves", "@field-tta", "@field-tta+tta")
    assert names == {"eval-val", *(f"eval-test{way}" for way in ways)}
    assert not glance(run).tta
    assert RunRecord.open(run).evaluations["test"].interval_by_leaf
    assert json.loads(after["eval-test.json"])["accuracy"] == glance(run).test


def test_new_checkpoint_leaves_old_leaves_behind(run: Path, leaves: Path, runtime: Runtime) -> None:
    assess(run, Request(groups=leaves), runtime)
    values = json.loads(RunLayout(run).evaluation("test").read_text())
    RunLayout(run).evaluation("test").write_text(json.dumps(values | {"checkpoint": "other"}))
    assert RunRecord.open(run).evaluations["test"].interval_by_leaf is None


def test_comparison_counts_by_one_unit(run: Path, leaves: Path, runtime: Runtime, tmp_path: Path) -> None:
    root = str(tmp_path / "splitted")
    other = untrained_run(tmp_path / "other", "baseline", CLASSES, root=root)
    assess(run, Request(groups=leaves), runtime)
    assess(other, Request(), runtime)
    plain = RunRecord.open(other).evaluations["test"].interval
    assert compare([run, other]).figures()["other"].interval == plain
    by_photo, by_leaf = (compare([run, other], groups=ids).figures()["run"].interval for ids in (None, leaves))
    assert by_photo == RunRecord.open(run).evaluations["test"].interval != by_leaf
    assert "by leaf" not in report.write(run, other).read_text()


def test_run_that_may_only_be_read(
    run: Path, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(run)
    assess(run, Request(to=tmp_path / "to"), runtime)
    assert report.write(run, to=tmp_path / "to" / "run").parent == tmp_path / "to" / "run"
    assert {"eval-test.json", "calibration.json", "report.html"} <= tree(tmp_path / "to" / "run").keys()
    assert tree(run) == before

    def refuse(*arguments: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(assessment, "write_predictions", refuse)
    monkeypatch.setattr(fitted, "write_calibration", refuse)
    found = assess(run, Request(), runtime)
    assert (found.evaluation.images, found.written) == (12, False)
    assert "--to FOLDER" in capsys.readouterr().err


def test_fold_judges_other_photos(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, root="folds", fold=1)
    (tmp_path / "folds" / "fold-1").mkdir(parents=True)
    (tmp_path / "field").mkdir()
    (tmp_path / "field.tar").touch()
    roots = [str(tmp_path / name) for name in ("folds", "field", "field.tar")]
    assert [load_run(run, root=root).config.data.fold for root in roots] == [1, None, None]


@pytest.mark.parametrize("start", [Start(folder="/home/ada/leaves"), Start()])
def test_relative_root_says_where_it_starts(start: Start, tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, root="no/such/photos")
    write_facts(run, replace(RunFacts(), starts=[start]))
    with pytest.raises(ValueError, match=f"{start.folder or 'the folder in which'}.*--data ROOT"):
        check([run], Request())
    check([run], Request(root=str(tmp_path)))


def test_runs_of_one_name_keep_apart(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "more" / run.name))
    check([run, other], Request())
    with pytest.raises(ValueError, match=r"would be written to one folder, .*to"):
        check([run, other], Request(to=tmp_path / "to"))
    with pytest.raises(ValueError, match="Name each run once"):
        check([run, run], Request())
