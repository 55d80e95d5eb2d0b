"""The head alone first, and layers with rates of their own: what is trained, how fast, and after a kill at the thaw."""

import json
from pathlib import Path

import pytest
import timm.optim
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from leafdist.config.networks import network
from leafdist.config.resolve import resolve
from leafdist.config.schema import OptimConfig, from_dict
from leafdist.data.open import open_loaders
from leafdist.data.plan import EpochPlan
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.models.freezing import HeadOnly, KeepsFrozen
from leafdist.runs.events import StepEvent
from leafdist.runs.layout import generations
from leafdist.tracking.charts import row_of
from leafdist.training import head_features as features
from leafdist.training.phases import Phases
from leafdist.training.rates import describe, group_parameters
from tests.helpers.programs import AUGMENTED, TINY, Program
from tests.helpers.run_folders import events

NETWORK = "timm/test_efficientnet"
HEADS = {NETWORK: "classifier", "timm/test_vit": "head", "timm/test_convnext": "head.fc", "resnet50": "fc"}
SIDES = {NETWORK: 40, "resnet50": 40}


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pretrained") / "model.safetensors"
    save_file(build_model(NETWORK, 1000, 40, seed=5).state_dict(), path)
    return path


def build(name: str, **options: str) -> nn.Module:
    return build_model(name, 3, SIDES.get(name, 160), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", HEADS)
def test_head_alone_learns_until_thaw(name: str) -> None:
    model = build(name, freeze="stem", frozen_batchnorm="train")
    assert isinstance(model, KeepsFrozen)
    trained = {key for key, value in model.named_parameters() if value.requires_grad}
    training = [module.training for module in model.train().modules()]
    alone = HeadOnly(model, HEADS[name])
    learning = {key for key, value in model.named_parameters() if value.requires_grad}
    assert learning == {f"{HEADS[name]}.weight", f"{HEADS[name]}.bias"}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        first, second = (model.train()(torch.rand(2, 3, side, side)) for side in [SIDES.get(name, 160)] * 2)
    assert first.shape == second.shape
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    alone.thaw()
    assert {key for key, value in model.named_parameters() if value.requires_grad} == trained
    assert [module.training for module in model.train().modules()] == training


@pytest.mark.parametrize("name", HEADS)
def test_layer_decay_is_timms(name: str) -> None:
    model, reference = build(name), timm.create_model(name.removeprefix("timm/"), num_classes=3)
    names = {id(value): key for key, value in model.named_parameters()}
    groups = group_parameters(model, OptimConfig(layer_decay=0.75), HEADS[name])
    ours = {names[id(value)]: group.factor for group in groups for value in group.parameters}
    known = {id(value): key for key, value in reference.named_parameters()}
    theirs = timm.optim.param_groups_layer_decay(reference, layer_decay=0.75)  # type: ignore[attr-defined]
    assert ours == pytest.approx({known[id(value)]: group["lr_scale"] for group in theirs for value in group["params"]})


def test_backbone_has_its_own_rate() -> None:
    model = build("resnet50", freeze="layer1")
    head, backbone = group_parameters(model, OptimConfig(backbone_factor=0.1), "fc")
    assert (head.name, head.factor, len(head.parameters)) == ("head", 1.0, 2)
    assert (backbone.name, backbone.factor, len(backbone.parameters)) == ("backbone", 0.1, 126)
    both = group_parameters(model, OptimConfig(backbone_factor=0.1, layer_decay=0.5), "fc")
    assert [group.factor for group in both] == [1.0, *(0.1 * 0.5**depth for depth in range(1, 14))]
    assert describe(both) == "learning rates: times 0.05 (layer17) to 1.22e-05 (layer5) of the head's"


def test_each_group_has_a_chart() -> None:
    event = StepEvent(0, 1, loss=1.0, lr=0.1, images_per_second=9.0, rates={"head": 0.1, "backbone": 0.01})
    assert row_of(event)["train/lr/backbone"] == 0.01
    assert "train/rates" not in row_of(event)


@pytest.mark.parametrize(("name", "precision"), [(NETWORK, "no"), ("timm/test_convnext", "bf16"), ("baseline", "no")])
def test_features_train_as_photos(name: str, precision: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, dict[str, object]] = {"model": {"name": name, "weights": "x.pth"}}
    settings["data"] = {"root": str(photos), "hflip": 0, "vflip": 0, "crop": 0, "resize": 64}
    settings["train"] = {"batch_size": 6, "head_epochs": 2, "epochs": 2, "precision": precision}
    settings["optim"] = {"class_weights": "read by now"}
    config, runtime = resolve(from_dict(settings)), Runtime(precision=precision)
    loaders = open_loaders(config.data, ("train",), runtime)
    ends = list[tuple[Tensor, Tensor]]()
    for _ in range(2):
        model = build_model(name, 3, 64, seed=3)
        phases = Phases(config, model, loaders["train"], runtime, 3, class_weights=[1.0] * 3)
        assert phases.enter(1).from_features == (not ends)
        for number in range(6):
            (batch,) = loaders["train"].batches([EpochPlan(17, 6, 0, number // 3).share(number % 3)])
            sums = phases.step(number, batch)
        ends.append((sums, model.get_parameter(f"{network(name).head}.weight").detach()))
        monkeypatch.setattr(features, "MOST", 0)
    for once, anew in zip(*ends, strict=True):
        torch.testing.assert_close(once, anew, rtol=1e-2 if precision == "bf16" else 1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_thaw_resumes_bit_for_bit(world: int, program: Program, photos: Path, pretrained: Path, tmp_path: Path) -> None:
    """One process computes features once; for two, photos are augmented anew, and the weights are averaged."""
    whole, parts = tmp_path / "runs" / "whole", tmp_path / "runs" / "parts"
    common: list[object] = ["--data.root", photos, *TINY, "--train.epochs", 3, "--model.name", NETWORK]
    common += ["--data.resize", 40, "--data.crop", 0, "--model.weights", pretrained, "--train.head_epochs", 2]
    common += ["--data.hflip", 0, "--data.vflip", 0, *(AUGMENTED if world > 1 else ())]
    common += ["--train.batch_size", 6, "--train.save_every", 1, "--optim.layer_decay", 0.7]
    common += ["--train.ema", 0.9 * (world - 1)]
    common += ["--optim.backbone_factor", 0.5, "--train.precision", "bf16"]  # which a network wrapped anew must keep
    done = program("train.py", *common, "--run.name", "whole", processes=world)
    assert done.returncode == 0, done.stderr
    how = "on features that were computed once" if world == 1 else "behind the whole network: photos are augmented"
    assert done.stdout.count(f"only the head is trained through epoch 2, {how}") == 1
    assert done.stdout.count("all layers are trained from epoch 3 on") == 1
    assert "times 0.35 (layer6) to 0.0588 (layer1)" in done.stdout
    for steps in (2, 6, 8):  # in the head's epochs, at the thaw, after it
        done = program("tests/helpers/killed_train.py", steps, *common, "--run.name", "parts", processes=world)
        assert done.returncode != 0
        assert generations(parts / "last")[0].name.startswith(f"step-{steps:09}")
    done = program("train.py", *common, "--run.name", "parts", processes=world)
    assert done.returncode == 0, done.stderr
    assert "step 8" in done.stdout
    assert events(parts) == events(whole)
    rates = [json.loads(line).get("rates") for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [rate and rate["layer6"] for rate in rates if rate] == pytest.approx([3.5e-4] * 3)
    for name in ("model", "optimizer", *(["ema"] if world > 1 else [])):
        file = f"last/step-000000009/{name}.safetensors"
        assert (parts / file).read_bytes() == (whole / file).read_bytes()
    assert world > 1 or not list(whole.rglob("ema.safetensors"))
    best = [json.loads((run / "best" / "meta.json").read_text())["sha256"] for run in (whole, parts)]
    assert best[0] == best[1]
