"""Promise 1: one config, any number of processes, the same run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from leafdist.models.build import build_model
from tests.faults.campaign import MIXED
from tests.helpers.programs import AUGMENTED, Program

pytestmark = pytest.mark.slow
RECORDED = "tests/helpers/recorded_train.py"
CUTS = ((2, 1), (3, 1), (1, 3), (3, 3))  # processes, micro-batches


@dataclass
class Result:
    rows: dict[str, Any]
    masks: dict[str, int]
    rates: dict[str, float]
    losses: list[float]
    weights: dict[str, Tensor]

    def furthest(self, other: "Result") -> tuple[float, float]:
        """Largest difference of a loss and of a weight."""
        losses = max(abs(a - b) for a, b in zip(self.losses, other.losses, strict=True))
        weights = max((self.weights[key] - other.weights[key]).abs().max().item() for key in self.weights)
        return losses, weights


def train(
    program: Program,
    photos: Path,
    optimizer: str,
    dtype: str,
    *,
    world: int = 1,
    accumulate: int = 1,
    model: str = "baseline",
    sync: bool = False,
    steps: int = 12,
    more: tuple[object, ...] = (),
) -> Result:
    """Four epochs of three steps; with more than one process the last batch leaves ranks without a row."""
    name = f"{Path(model).name}-{optimizer}-{dtype}-{world}-{accumulate}-{sync}"
    arguments = ["--data.root", photos, "--model.name", model, "--model.weights", "none", "--run.name", name]
    arguments += [
        "--train.batch_size",
        8,
        "--train.epochs",
        4,
        "--train.accumulate",
        accumulate,
        "--train.log_every",
        1,
    ]
    arguments += ["--optim.name", optimizer, "--optim.step_size", 2, "--train.precision", "no", "--track.wandb", "off"]
    arguments += ["--data.hflip", 0.5, "--data.crop", 40, "--train.max_steps", steps]
    arguments += [*more, *(["--train.sync_batchnorm", "true"] if sync else [])]
    done = program(RECORDED, photos.parent / name, dtype, *arguments, processes=world)
    assert done.returncode == 0, done.stderr
    parts = [json.loads(path.read_text()) for path in photos.parent.glob(f"{name}.*.json")]
    assert len(parts) == world
    merged = {key: {k: v for part in parts for k, v in part[key].items()} for key in ("rows", "masks", "rates")}
    assert all(part["rates"] == merged["rates"] for part in parts)
    run = photos.parent / "runs" / name
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert len(losses) == steps
    files = sorted((run / "last" / f"step-{steps:09}").glob("[em]*.safetensors"))  # of the weights and their average
    weights = {f"{path.stem} {key}": value for path in files for key, value in load_file(path).items()}
    return Result(**merged, losses=losses, weights=weights)


def test_any_process_count_trains_alike(program: Program, photos: Path) -> None:
    one = train(program, photos, "sgd", "float32")
    assert len(one.rows) == 4 * 17
    assert sorted(set(one.rates.values())) == pytest.approx([1e-4, 1e-3])
    for world, accumulate in CUTS:
        other = train(program, photos, "sgd", "float32", world=world, accumulate=accumulate)
        assert (other.rows, other.masks, other.rates) == (one.rows, one.masks, one.rates)
        assert max(one.furthest(other)) < 1e-5


def test_everything_is_alike_anywhere(program: Program, photos: Path) -> None:
    """All of `augment`, mixing until the second epoch ends, drawn classes, weights of classes, averaged weights."""
    form: dict[str, Any] = {"more": (*MIXED, "--train.ema", 0.9), "steps": 9}
    one = train(program, photos, "sgd", "float64", **form)
    for world, accumulate in ((2, 1), (3, 3)):
        other = train(program, photos, "sgd", "float64", world=world, accumulate=accumulate, **form)
        assert (other.rows, other.masks, other.rates) == (one.rows, one.masks, one.rates)
        print("everything, 1 against", world, "processes: loss, weight", one.furthest(other))
        assert max(one.furthest(other)) < 1e-10


def test_adam_agrees_in_float64(program: Program, photos: Path, record_property: Any) -> None:
    one = train(program, photos, "adam", "float64")
    for world, accumulate in ((2, 1), (3, 3)):
        other = train(program, photos, "adam", "float64", world=world, accumulate=accumulate)
        assert max(one.furthest(other)) < 1e-10
    single, several = (train(program, photos, "adam", "float32", world=world) for world in (1, 3))
    record_property("adam in fp32, 1 against 3 processes: loss, weight", single.furthest(several))
    print("adam in fp32, 1 against 3 processes: loss, weight", single.furthest(several))


def test_resnet50_without_batch_statistics_agrees(program: Program, photos: Path) -> None:
    """BatchNorm stays in eval mode here: the statistics of a batch are the one thing that depends on the cut."""
    one, two = (train(program, photos, "sgd", "float64", world=world, model="resnet50", steps=3) for world in (1, 2))
    assert (two.rows, two.rates) == (one.rows, one.rates)
    assert max(one.furthest(two)) < 1e-10


def test_timms_random_layers_agree(program: Program, photos: Path) -> None:
    """A network without BatchNorm, blocks of which are skipped by the plan, and photos that are augmented."""
    more = ("--model.drop_path", 0.4, "--model.dropout", 0.25, "--data.interpolation", "bilinear", *AUGMENTED)
    form: dict[str, Any] = {"model": "timm/test_convnext", "more": more, "steps": 6}
    one = train(program, photos, "sgd", "float64", **form)
    for world, accumulate in ((2, 1), (3, 3)):
        other = train(program, photos, "sgd", "float64", world=world, accumulate=accumulate, **form)
        assert (other.rows, other.masks, other.rates) == (one.rows, one.masks, one.rates)
        assert max(one.furthest(other)) < 1e-10


def test_thaw_is_alike_on_any_world(program: Program, photos: Path, tmp_path: Path) -> None:
    """The head alone for two epochs, on features that were computed once, then layers with rates of their own; both
    averaged."""
    save_file(build_model("timm/test_convnext", 1000, 40, seed=5).state_dict(), file := tmp_path / "model.safetensors")
    more: tuple[object, ...] = ("--model.weights", file, "--train.head_epochs", 2, "--optim.layer_decay", 0.7)
    more += ("--train.ema", 0.9, "--model.drop_path", 0.4, "--data.hflip", 0, "--data.vflip", 0, "--data.crop", 0)
    form: dict[str, Any] = {"model": "timm/test_convnext", "more": more, "steps": 9}
    one = train(program, photos, "sgd", "float64", **form)
    for world, accumulate in ((2, 1), (3, 3)):
        other = train(program, photos, "sgd", "float64", world=world, accumulate=accumulate, **form)
        assert (other.rows, other.masks, other.rates) == (one.rows, one.masks, one.rates)
        assert max(one.furthest(other)) < 1e-10


def test_resnet50_with_synced_batchnorm_begins_alike(program: Program, photos: Path) -> None:
    """Through the last batch, whose one photo leaves a process with a stand-in. There a channel has four values: from
    then on rounding grows a hundredfold a step, in 53 layers, so that later steps tell nothing (test_batchnorm.py)."""
    form: dict[str, Any] = {"model": "resnet50", "sync": True, "steps": 3}
    one, two = (train(program, photos, "sgd", "float64", world=world, **form) for world in (1, 2))
    assert (two.rows, two.rates) == (one.rows, one.rates)
    assert max(abs(a - b) for a, b in zip(one.losses, two.losses, strict=True)) < 1e-7
