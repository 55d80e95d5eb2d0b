"""What of a network of timm is frozen, and that each quadrant of transfer learning fits any network."""

import pytest
import torch

from leafdist.config.parse import parse_config
from leafdist.models.build import build_model
from tests.helpers.paths import REPO


@pytest.mark.parametrize(
    ("freeze", "frozen"), [("none", ()), ("layer1", ("conv_stem", "bn1", "blocks.0", "blocks.1")),
                           ("all", ("conv_stem", "bn", "blocks", "conv_head"))],
)  # fmt: skip
def test_frozen_layers_of_timm_stay(freeze: str, frozen: tuple[str, ...]) -> None:
    model = build_model("timm/test_efficientnet", 3, 64, freeze=freeze).train()
    fixed = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert fixed == {name for name, _ in model.named_parameters() if frozen and name.startswith(frozen)}
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(torch.rand(2, 3, 64, 64))
    moved = {name for name, value in model.named_buffers() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if not (frozen and name.startswith(frozen))}


@pytest.mark.parametrize(
    "name", [f"timm/{name}" for name in ("resnet50", "tf_efficientnet_lite0", "convnext_tiny", "regnetx_002")]
    + ["resnet50", "timm/vit_tiny_patch16_224", "timm/mobilenetv3_small_100"],
)  # fmt: skip
def test_quadrants_of_transfer_fit_any(name: str) -> None:
    trained = []
    for quadrant in ("little-similar", "much-similar", "little-different", "much-different"):
        config = parse_config(["--config", f"{REPO}/configs/transfer/{quadrant}.yaml", "--model.name", name])
        with torch.device("meta"):
            model = build_model(name, 33, config.data.side, freeze=config.model.freeze)
        trained.append(sum(value.numel() for value in model.parameters() if value.requires_grad))
    assert trained == sorted(set(trained))
