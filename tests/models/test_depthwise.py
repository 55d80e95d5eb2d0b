"""Depthwise convolutions that bf16 would slow down are trained in fp32 on a CPU."""

import pytest
import torch
from torch import nn

from leafdist.models.build import build_model
from leafdist.models.depthwise import InFp32, use_fp32_depthwise


@pytest.mark.parametrize(("kernel", "stride", "slow"), [(3, 1, False), (3, 2, True), (5, 1, True)])
def test_slow_depthwise_trains_in_fp32(kernel: int, stride: int, *, slow: bool) -> None:
    """While training, with a result in the type of its input; in evaluation it is bf16 as before."""
    layer = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8)
    pixels = torch.randn(2, 8, 9, 9).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(pixels)
        use_fp32_depthwise(layer)
        assert isinstance(layer, InFp32) == slow
        assert torch.equal(layer.eval()(pixels), half)
        trained = layer.train()(pixels)
    exact = layer(pixels.float())
    assert trained.dtype == torch.bfloat16
    assert torch.equal(trained, exact.bfloat16() if slow else half)


def test_networks_of_timm_train_so() -> None:
    """Eleven of the sixteen of EfficientNet-Lite0; five are 3x3 of stride 1."""
    model = build_model("timm/tf_efficientnet_lite0", 3, 64)
    assert sum(isinstance(module, InFp32) for module in model.modules()) == 11
