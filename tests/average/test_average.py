"""Averaged runs: means of tensors, statistics of BatchNorm, what is left of a head, and what cannot be averaged."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from leafdist.__main__ import main
from leafdist.average.average import average
from leafdist.average.statistics_pass import recompute, trained_layers
from leafdist.config.networks import NETWORKS
from leafdist.data.augment import Augment
from leafdist.data.open import open_loaders
from leafdist.data.photo_facts import DataFacts
from leafdist.data.plan import EpochPlan
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.assess import Request, assess
from leafdist.models.build import build_model
from leafdist.report.write import write
from leafdist.runs.checkpoint import load_best
from leafdist.runs.facts import read_facts
from leafdist.runs.folder import RunFolder
from leafdist.runs.load import load_run
from leafdist.system.files import sha256
from tests.helpers.made_runs import DATA, configured, made, noted
from tests.helpers.photos import CLASSES, draw
from tests.helpers.tiny_network import TINY, Tiny


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    yield (found := Runtime())
    found.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("photos") / "splitted", {"train": 44, "val": 5, "test": 2})


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
