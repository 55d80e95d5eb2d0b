"""Averaged runs: means of tensors, statistics of BatchNorm, what is left of a head, and what cannot be averaged."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from leafdist.__main__ import main
from leafdist.average.average import average, check_alike
from leafdist.average.statistics_pass import recompute, trained_layers
from leafdist.config.networks import NETWORKS
from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, from_dict
from leafdist.data.augment import Augment
from leafdist.data.open import data_facts, open_loaders
from leafdist.data.photo_facts import DataFacts
from leafdist.data.plan import EpochPlan
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.assess import Request, assess
from leafdist.models.build import build_model
from leafdist.report.write import write
from leafdist.runs.checkpoint import load_best, save_best, tensors_of
from leafdist.runs.facts import CheckpointMeta, Preprocessing, RunFacts, Start, read_facts, write_facts
from leafdist.runs.folder import RunFolder
from leafdist.runs.load import load_run
from leafdist.runs.saved_config import write_config
from leafdist.system.files import sha256
from tests.helpers.photos import CLASSES, draw
from tests.helpers.tiny_network import TINY, Tiny

DATA = {"resize": 16, "crop": 0}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    yield (found := Runtime())
    found.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("photos") / "splitted", {"train": 44, "val": 5, "test": 2})


def configured(root: Path, **sections: Any) -> Config:
    values = {"model": {"name": "baseline"}, "data": DATA | {"root": str(root)}, "train": {"precision": "no"}}
    return resolve(from_dict({key: values.get(key, {}) | sections.get(key, {}) for key in {*values, *sections}}))


def made(path: Path, config: Config, seed: int, classes: tuple[str, ...] = CLASSES) -> Path:
    """A run whose weights are drawn from `seed`, on photos that run.json names."""
    network = build_model(config.model.name, len(classes), config.data.side, seed=seed)
    meta = CheckpointMeta(list(classes), Preprocessing.from_config(config.data), seed, 0.5, 1.0, config, sha256="")
    write_config(path, config)
    save_best(path / "best", tensors_of(network), meta)
    write_facts(path, RunFacts("finished", classes=list(classes)))
    return path


def noted(run: Path, **facts: Any) -> Path:
    write_facts(run, replace(read_facts(run), **facts))
    return run


def tensors(run: Path) -> dict[str, Tensor]:
    return load_best(run)[0]


def test_soup_is_the_mean_of_tensors(tmp_path: Path, root: Path, runtime: Runtime) -> None:
    config, out = configured(root, train={"precision": "no", "select": "macro_f1"}), tmp_path / "soup"
    runs = [made(tmp_path / str(seed), config, seed) for seed in range(3)]
    average(runs, out, None, runtime)
    given = [tensors(run) for run in runs]
    for key, value in tensors(out).items():
        mean = np.mean([one[key].numpy().astype(np.float64) for one in given], 0)
        assert value.dtype == given[0][key].dtype
        np.testing.assert_array_equal(value.numpy(), mean.astype(np.float32), key)
    facts, meta = read_facts(out), load_best(out)[1]
    assert facts.average
    assert facts.average.runs == [str(run) for run in runs]
    assert facts.average.checkpoints == [load_best(run)[1].sha256 for run in runs]
    judged = assess(out, Request("val"), runtime).evaluation
    assert (judged.accuracy, judged.loss) == pytest.approx((meta.val_accuracy, meta.val_loss), abs=1e-12)
    assert (facts.best_val_accuracy, facts.best_val_score) == (meta.val_accuracy, meta.val_score)
    assert meta.val_score == pytest.approx(judged.macro_f1)
    assert (out / "best" / "predictions-val.csv").read_text() == (out / "predictions-val.csv").read_text()
    assert "of averaged weights" in write(out).read_text()
    with pytest.raises(ValueError, match=r"soup was averaged .* Set another run\.name"):
        RunFolder(out, meta.config, DataFacts([], {})).is_complete(lambda step: None)


def test_run_with_itself_answers_alike(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field, out = draw(tmp_path / "field", {"train": 1, "val": 1}, classes=("rust",)), tmp_path / "b"
    config = configured(root, data=DATA | {"root": str(root), "extra": [f"{field}:0.25"], "classes": "moved.tsv"})
    run, copy = (noted(made(tmp_path / name, config, 1), class_map={"rust": CLASSES[1]}) for name in ("a", "copy"))
    assert main(["average", str(run), str(copy), "--out", str(out)]) == 0
    assert "average of 2 runs; val accuracy 0." in capsys.readouterr().out
    assert read_facts(out).class_map == read_facts(run).class_map
    with torch.no_grad():
        assert torch.equal(*(load_run(one).model(torch.linspace(0, 1, 768).view(1, 3, 16, 16)) for one in (out, run)))
    assert load_best(out)[1].sha256 == load_best(run)[1].sha256


@pytest.mark.parametrize(("classes", "known"), [(CLASSES, True), (CLASSES[1:], False)])
def test_start_is_mixed_by_its_share(
    classes: tuple[str, ...], known: bool, tmp_path: Path, root: Path, runtime: Runtime
) -> None:
    start = made(tmp_path / "start", configured(root), 5, classes)
    digest = sha256(start / "best" / "model.safetensors")
    begun = configured(root, model={"name": "baseline", "weights": str(start)})
    run = noted(made(tmp_path / "run", begun, 1), weights_sha256=digest)
    for share in (1.0, 0.25):
        average([run], tmp_path / str(share), share, runtime)
        first, own, mixed = tensors(start), tensors(run), tensors(tmp_path / str(share))
        for key, value in mixed.items():
            if share == 1 or (key.startswith("head") and not known):
                assert torch.equal(value, own[key]), key
            else:
                assert torch.equal(value, (0.25 * own[key].double() + 0.75 * first[key].double()).float()), key
    facts = read_facts(tmp_path / "0.25")
    assert facts.average
    assert (facts.average.start, facts.average.share) == (str(start), 0.25)
    assert facts.weights_sha256 == digest


def test_unfrozen_runs_may_begin_apart(tmp_path: Path, root: Path) -> None:
    runs = [Path(name) for name in begun_apart(tmp_path, configured(root), "none")]
    check_alike(runs, [load_best(run)[1] for run in runs])


def test_statistics_equal_a_plain_pass(monkeypatch: pytest.MonkeyPatch, root: Path, runtime: Runtime) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", TINY)
    config = configured(root, model={"name": "tiny", "weights": "none"}, data=DATA | {"root": str(root), "crop": 16})
    model = build_model("tiny", 3, 16)
    assert isinstance(model, Tiny)
    convolution, norm = model.maps[0], model.maps[1]
    assert isinstance(norm, nn.BatchNorm2d)
    norm.register_buffer("running_mean", torch.full((8,), 5.0))  # what was there counts for nothing
    loader = open_loaders(config.data, ("train",), runtime)["train"]
    layers = trained_layers([config], CLASSES, runtime)
    assert layers == {"maps.1"}
    assert recompute(model, layers, loader, config, runtime) == 128  # two batches of 64 of 132 photos
    plan, augment = EpochPlan(132, 64, config.seed, 0), Augment.from_config(config.data).for_evaluation()
    with torch.no_grad():
        maps = [convolution(augment(torch.from_numpy(loader.source.read(plan.share(k).indices)[0]))) for k in (0, 1)]
    mean, variance = (torch.stack([find(one, (0, 2, 3)) for one in maps]).mean(0) for find in (torch.mean, torch.var))
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert not norm.training
    assert trained_layers([replace(config, train=replace(config.train, head_epochs=30))], CLASSES, runtime) == set()


def test_average_has_statistics_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path, runtime: Runtime
) -> None:
    """BatchNorm's are those of the mean weights, not the mean of the runs'."""
    monkeypatch.setitem(NETWORKS, "tiny", TINY)
    config = configured(root, model={"name": "tiny", "weights": "none"}, data=DATA | {"root": str(root), "crop": 16})
    average([made(tmp_path / str(seed), config, seed) for seed in range(2)], tmp_path / "out", None, runtime)
    facts, found = read_facts(tmp_path / "out"), tensors(tmp_path / "out")
    assert facts.average
    assert facts.average.batchnorm_photos == 128
    model = build_model("tiny", 3, 16)
    model.load_state_dict(found)
    recompute(model, {"maps.1"}, open_loaders(config.data, ("train",), runtime)["train"], config, runtime)
    torch.testing.assert_close(model.state_dict()["maps.1.running_mean"], found["maps.1.running_mean"])
    assert found["maps.1.running_mean"].abs().max() > 0.01


def other_photos(folder: Path, config: Config) -> list[str]:
    runs = [made(folder / name, config, 0) for name in "ab"]
    write_facts(
        runs[1],
        replace(
            read_facts(runs[1]), data=data_facts(open_loaders(config.data, ("train", "val"), Runtime()), "none").data
        ),
    )
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
