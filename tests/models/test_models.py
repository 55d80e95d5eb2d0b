from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from leafdist.config.networks import NETWORKS, RESNET50, Network
from leafdist.models.batchnorm import trains_batchnorm
from leafdist.models.build import build_model
from leafdist.models.dropout import PlannedDropout, PlannedDropPath, seek_rows, seek_step
from leafdist.models.small_maps import SmallMapConv2d, use_small_maps
from leafdist.models.weights import find_weights
from leafdist.training.optim import build_optimizer
from leafdist.training.rates import group_parameters


def test_the_baseline_is_the_protocols() -> None:
    model = build_model("baseline", 33, 64)
    shapes = [tuple(parameter.shape) for parameter in model.parameters() if parameter.dim() > 1]
    assert shapes == [(32, 3, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3), (512, 4096), (33, 512)]
    rates = [module.threshold / 256 for module in model.modules() if isinstance(module, PlannedDropout)]
    assert rates == [0.25, 0.25, 0.25, 0.5]
    logits = model.eval()(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(2))


def test_weights_depend_on_seed_alone() -> None:
    first, again, other = (build_model("baseline", 3, 16, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("cut", [[70], [32, 38], [1, 33, 36], [10, 0, 60]])
def test_dropout_masks_ignore_the_batch_cut(cut: list[int]) -> None:
    layer, x = PlannedDropout(0.5), torch.rand(70, 5, 3)
    whole, first, parts = masks(layer, x, 0), 0, []
    for rows in cut:
        parts.append(masks(layer, x[first : first + rows], first) if rows else x[:0])
        first += rows
    assert torch.equal(torch.cat(parts), whole)


def masks(layer: PlannedDropout, x: Tensor, first: int, step: int = 3) -> Tensor:
    seek_step([layer], 7, step, x.device)
    seek_rows([layer], first, len(x))
    return layer(x)  # type: ignore[no-any-return]


def test_windows_are_dropped_by_photo() -> None:
    """MobileViT drops windows: those of a photo are rows that lie together, and are alike however a batch is cut."""
    layer, windows = PlannedDropPath(0.5), torch.ones(6 * 4, 5, 3)
    seek_step([layer], 7, 3, windows.device)
    parts = []
    for first, rows in ((0, 6), (0, 4), (4, 2)):
        seek_rows([layer], first, rows)
        parts.append(layer(windows[4 * first : 4 * (first + rows)]))
    assert torch.equal(torch.cat(parts[1:]), parts[0])


def test_layer_called_twice_draws_twice() -> None:
    layer, x = PlannedDropPath(0.5), torch.ones(40, 3)
    seek_step([layer], 7, 3, x.device)
    passes = []
    for _ in range(2):
        seek_rows([layer], 0, 40)
        passes.append((layer(x), layer(x)))
    assert not torch.equal(*passes[0])
    assert torch.equal(torch.cat(passes[0]), torch.cat(passes[1]))


def test_drop_path_skips_whole_rows() -> None:
    layer, x = PlannedDropPath(0.25), torch.ones(400, 3, 4, 4)
    seek_step([layer], 7, 3, x.device)
    rows = layer(x).flatten(1)
    assert torch.equal(rows.amin(1), rows.amax(1))
    assert rows.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (rows[:, 0] == 0).double().mean().item() == pytest.approx(0.25, abs=0.06)


def test_dropout_keeps_rate_and_mean() -> None:
    layer, x = PlannedDropout(0.25), torch.ones(320, 1000)
    result = masks(layer, x, 0)
    assert (result == 0).double().mean().item() == pytest.approx(0.25, abs=0.003)
    assert result.double().mean().item() == pytest.approx(1, abs=0.004)
    assert not torch.equal(result, masks(layer, x, 0, step=4))
    assert torch.equal(layer.eval()(x), x)
    assert torch.isfinite(masks(PlannedDropout(0.999), x, 0)).all()


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_of_small_maps_are_convolutions(side: int, kernel: int, stride: int) -> None:
    plain = nn.Conv2d(6, 10, kernel, stride, padding=kernel // 2, bias=False, dtype=torch.float64)
    model = nn.Sequential(deepcopy(plain))
    use_small_maps(model)
    assert type(model[0]) is SmallMapConv2d
    x = torch.rand(3, 6, side, side, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    results = []
    for layer in (plain, model[0]):
        entries = x.clone().requires_grad_()
        y = layer(entries)
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        results.append((y.detach(), entries.grad, layer.weight.grad))
    torch.testing.assert_close(*results)
    assert model(x).is_contiguous(memory_format=torch.channels_last)


def test_strided_convolution_copies_no_weights() -> None:
    calls: list[str] = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, call: Any, types: Any, words: Any = (), options: Any = None) -> Any:
            calls.append(str(call))
            return call(*words, **(options or {}))

    model = nn.Sequential(nn.Conv2d(6, 10, 1, 2, bias=False)).bfloat16()
    use_small_maps(model)
    x = torch.rand(3, 6, 4, 4, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), Record():  # type: ignore[no-untyped-call]  # of torch
        model(x)
    assert "aten.mm.default" in calls
    assert "aten.bmm.default" not in calls


@pytest.mark.parametrize(("freeze", "trained"), [("none", 161), ("layer1", 128), ("all", 2)])
def test_frozen_stages_keep_their_statistics(freeze: str, trained: int) -> None:
    from leafdist.config.schema import OptimConfig

    model = build_model("resnet50", 3, 64, freeze=freeze).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = build_optimizer(group_parameters(model, OptimConfig(), "fc"), OptimConfig())
    model(torch.rand(2, 3, 64, 64)).sum().backward()
    optimizer.step()
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    frozen = (
        () if freeze == "none" else ("conv1.", "bn1.", "layer1.") if freeze == "layer1" else ("conv", "bn", "layer")
    )
    assert len(optimizer.param_groups[0]["params"]) == trained
    assert {key for key in before if key not in moved and not key.startswith(frozen)} == set()
    assert not any(key.startswith(frozen) for key in moved if frozen)


def test_the_protocols_frozen_statistics_move() -> None:
    model = build_model("resnet50", 3, 64, freeze="layer1", frozen_batchnorm="train").train()
    bn1: Any = model.get_submodule("bn1")
    before = bn1.running_mean.clone()
    model(torch.rand(2, 3, 64, 64))
    assert not torch.equal(bn1.running_mean, before)
    assert trains_batchnorm(model)
    assert not trains_batchnorm(build_model("resnet50", 3, 64, freeze="all"))


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvision_weights_load_with_any_prefix(prefix: str, suffix: str, tmp_path: Path) -> None:
    state = build_model("resnet50", 1000, 64).state_dict()
    path = save({prefix + key: value for key, value in state.items()}, tmp_path / f"weights{suffix}")
    model = build_model("resnet50", 3, 64, weights=path)
    assert torch.equal(model.state_dict()["layer4.2.conv3.weight"], state["layer4.2.conv3.weight"])
    assert model.state_dict()["fc.weight"].shape == (3, 2048)


def test_weights_without_batch_counts_load(tmp_path: Path) -> None:
    state = {
        key: value for key, value in build_model("resnet50", 1000, 64).state_dict().items() if "num_batches" not in key
    }
    build_model("resnet50", 3, 64, weights=save(state, tmp_path / "weights.pth"))


@pytest.mark.parametrize("text", [b"hello", b"Repository not found", b"access denied", b""])
def test_html_instead_of_weights_is_refused(text: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "weights.pth").write_bytes(text)
    with pytest.raises(ValueError, match="cannot be read as a file of plain tensors"):
        build_model("resnet50", 3, 64, weights=path)


def save(state: dict[str, Tensor], path: Path) -> Path:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def test_named_weights_come_from_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth"
    path.parent.mkdir(parents=True)
    torch.save(build_model("resnet50", 1000, 64).state_dict(), path)
    assert find_weights("IMAGENET1K_V2", RESNET50) == path
    build_model("resnet50", 3, 64, weights=path)


@pytest.mark.parametrize("row", [row for row in NETWORKS.values() if row.torchvision])
def test_weights_are_torchvisions(row: Network) -> None:
    weights = torchvision.models.get_model_weights(row.torchvision)
    assert {weight.name: weight.url for weight in weights} == row.weights


@pytest.mark.parametrize("row", NETWORKS.values())
def test_rows_describe_the_networks(row: Network) -> None:
    """Head and last map exist, and the map has the side that the row says, for any picture."""
    sides = dict[int, int]()
    model = build_model(row.name, 3, pixels := 53).eval()
    assert model.get_submodule(row.head).out_features == 3
    model.get_submodule(row.last_map).register_forward_hook(lambda _, __, maps: sides.update({pixels: maps.shape[-1]}))
    model(torch.rand(1, 3, pixels, pixels))
    assert sides == {pixels: row.map_side(pixels)}
    assert any(isinstance(module, PlannedDropout) for module in model.modules()) == row.has_dropout


def test_offline_error_names_file_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"Put that file at .*resnet50-0676ba61\.pth"):
        find_weights("IMAGENET1K_V1", RESNET50)
    with pytest.raises(ValueError, match="neither a file, nor a run, nor one of torchvision's"):
        find_weights("IMAGENET9", RESNET50)


@pytest.mark.parametrize(("model", "message"), [
    (nn.Linear(2, 2), "another architecture: it lacks conv1.weight"),
    (build_model("resnet50", 4, 64), "was trained on 4 classes, the data has 3"),
])  # fmt: skip
def test_weights_of_wrong_shape_are_refused(model: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        build_model("resnet50", 3, 64, weights=save(model.state_dict(), tmp_path / "weights.pth"))


def test_pickled_code_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="cannot be read as a file of plain tensors"):
        build_model("baseline", 3, 64, weights=tmp_path / "model.pt")
