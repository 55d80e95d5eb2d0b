"""Averages that would be no network, or of something else than was asked, are refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.average.average import check_alike
from leafdist.config.schema import Config
from leafdist.data.open import data_facts, open_loaders
from leafdist.distributed.runtime import Runtime
from leafdist.runs.checkpoint import load_best
from leafdist.runs.facts import Start, read_facts, write_facts
from tests.helpers.made_runs import configured, made, noted
from tests.helpers.photos import CLASSES, draw


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("photos") / "splitted", {"train": 44, "val": 5, "test": 2})


def other_photos(folder: Path, config: Config) -> list[str]:
    runs = [made(folder / name, config, 0) for name in "ab"]
    photos = data_facts(open_loaders(config.data, ("train", "val"), Runtime()), "none").data
    write_facts(runs[1], replace(read_facts(runs[1]), data=photos))
    path = runs[1] / "run.json"
    values = json.loads(path.read_text())
    values["data"]["val"]["photos"] += 1
    path.write_text(json.dumps(values))
    return list(map(str, runs))


def started_elsewhere(folder: Path, config: Config, photos: Config | None = None) -> list[str]:
    """Runs that were started in another folder than this; photos: where they are found all the same."""
    data = photos.data if photos else replace(config.data, root="photos")
    runs = [made(folder / name, replace(config, data=data), 0) for name in "ab"]
    return [str(noted(run, starts=[Start(folder="/began")])) for run in runs]


def begun_apart(folder: Path, config: Config, freeze: str) -> list[str]:
    """Runs of which two began from one file of weights, and the third from another."""
    config = replace(config, model=replace(config.model, weights="w.pt", freeze=freeze))
    return [str(noted(made(folder / name, config, 0), weights_sha256=name[0])) for name in ("a", "ab", "b")]


def start_changed(folder: Path, config: Config) -> list[str]:
    start = made(folder / "start", config, 5)
    run = made(folder / "a", replace(config, model=replace(config.model, weights=str(start))), 1)
    return [str(noted(run, weights_sha256="0")), "--with-start", "0.5"]


def test_unfrozen_runs_may_begin_apart(tmp_path: Path, root: Path) -> None:
    runs = [Path(name) for name in begun_apart(tmp_path, configured(root), "none")]
    check_alike(runs, [load_best(run)[1] for run in runs])


REFUSED: dict[str, tuple[Callable[[Path, Config], list[str]], str]] = {
    "alone": (lambda folder, config: [str(made(folder / "a", config, 0))], "name two runs or more, or --with-start"),
    "drawn": (
        lambda folder, config: [str(made(folder / "a", config, 0)), "--with-start", "0.5"],
        "started from drawn weights (model.weights=none)",
    ),
    "share": (
        lambda folder, config: [str(made(folder / "a", config, 0)), "--with-start", "1.5"],
        "--with-start 1.5: the share of the run must be from 0 to 1",
    ),
    "two": (
        lambda folder, config: [*(str(made(folder / name, config, 0)) for name in "ab"), "--with-start", "0.5"],
        "is for one run, 2 given",
    ),
    "classes": (
        lambda folder, config: [str(made(folder / str(n), config, 0, CLASSES[:n])) for n in (3, 2)],
        f"cannot be averaged: classes: without {CLASSES[2]}",
    ),
    "pixels": (
        lambda folder, config: [
            str(made(folder / str(side), replace(config, data=replace(config.data, resize=side)), 0))
            for side in (16, 24)
        ],
        "data.resize is 16 and 24",
    ),
    "photos": (other_photos, "was trained on other photos"),
    "running": (
        lambda folder, config: [str(noted(made(folder / name, config, 0), state=name)) for name in ("new", "running")],
        "running is still training",
    ),
    "frozen": (
        lambda folder, config: begun_apart(folder, config, "layer1"),
        "b cannot be averaged: frozen layers began from different files of weights (w.pt and w.pt",
    ),
    "changed": (start_changed, "is not the file that"),
    "elsewhere": (started_elsewhere, "data.root=photos is not here: it is relative to /began, where train.py was"),
    "start": (
        lambda folder, config: [
            *started_elsewhere(folder, replace(config, model=replace(config.model, weights="start.pt")), config)[:1],
            "--with-start",
            "0.5",
        ],
        "a was started in /began, where a relative path begins",
    ),
    "existing": (
        lambda folder, config: [*(str(made(folder / name, config, 0)) for name in ("a", "out"))],
        "out exists: name a new folder",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unfit_averages_are_refused(case: str, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, message = REFUSED[case]
    arguments, before = make(tmp_path, configured(root)), sorted(tmp_path.rglob("*"))
    assert main(["average", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
