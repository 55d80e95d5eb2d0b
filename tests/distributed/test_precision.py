"""What `auto` takes on a card, and what is said of cards that PyTorch's build or a driver does not suit."""

import os
from types import SimpleNamespace

import pytest
import torch

from leafdist.distributed import devices, runtime
from leafdist.distributed.precision import settle_precision
from leafdist.doctor.gpus import check_gpu
from tests.helpers.doctoring import bad

Card = tuple[str, int, int]
V100: Card = ("Tesla V100-SXM2-16GB", 7, 0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """GPUs of these names and compute capabilities, and a build like PyPI's."""
    cards = [SimpleNamespace(name=name, major=major, minor=minor) for name, major, minor in request.param]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: cards[index])
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_86", "sm_90", "sm_120"])
    monkeypatch.setenv("LOCAL_RANK", str(len(cards) - 1))


@pytest.mark.parametrize(
    ("machine", "precision"),
    [
        ([V100], "fp16 (auto: Tesla V100-SXM2-16GB has fp16 tensor cores and no bf16)"),
        ([("Tesla T4", 7, 5)], "fp16 (auto: Tesla T4 has fp16 tensor cores and no bf16)"),
        ([("NVIDIA GeForce RTX 2080", 7, 5)], "fp16 (auto: NVIDIA GeForce RTX 2080 has fp16 tensor cores and no bf16)"),
        ([("NVIDIA GeForce GTX 1660", 7, 5)], "no (auto: NVIDIA GeForce GTX 1660 has neither bf16 nor tensor cores)"),
        ([("NVIDIA T1000 8GB", 7, 5)], "no (auto: NVIDIA T1000 8GB has neither bf16 nor tensor cores)"),
        ([("Tesla P100", 6, 0)], "no (auto: Tesla P100 has neither bf16 nor tensor cores)"),
        ([("Tesla T4", 7, 5), ("NVIDIA A10", 8, 6)], "bf16 (auto: NVIDIA A10 has bf16)"),
    ],
    indirect=["machine"],
)
@pytest.mark.usefixtures("machine")
def test_auto_takes_what_cards_have(precision: str) -> None:
    """The card of this process, where a machine has several kinds."""
    assert str(settle_precision("auto")) == precision
    assert [str(settle_precision(name)) for name in ("no", "bf16", "fp16")] == ["no", "bf16", "fp16"]


@pytest.mark.parametrize(
    ("machine", "way_out"),
    [([V100], "whl/cu126"), ([("Later", 13, 0)], "build of PyTorch for this driver")],
    indirect=["machine"],
)
@pytest.mark.usefixtures("machine")
def test_cards_without_kernels_are_refused(way_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By train.py and by the doctor, in the same words."""
    with pytest.raises(ValueError, match=way_out) as refused:
        devices.check_devices()
    said = bad(check_gpu(0), "gpu")
    assert str(refused.value).startswith(said)
    assert "no kernels for it" in said
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_60", "sm_70", "compute_120"])
    devices.check_devices()


@pytest.mark.parametrize("machine", [[("NVIDIA GeForce RTX 4090", 8, 9)] * 2], indirect=True)
@pytest.mark.usefixtures("machine")
def test_consumer_cards_train_under_torchrun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `accelerate launch` sets for them, and no more."""
    monkeypatch.setattr(runtime, "check_cuda_p2p_ib_support", lambda: False)
    monkeypatch.setenv("NCCL_IB_DISABLE", "0")
    monkeypatch.setenv("NCCL_P2P_DISABLE", "")
    monkeypatch.delenv("NCCL_P2P_DISABLE")
    monkeypatch.setenv("WORLD_SIZE", "1")
    runtime.turn_off_peer_access()
    assert "NCCL_P2P_DISABLE" not in os.environ
    monkeypatch.setenv("WORLD_SIZE", "2")
    runtime.turn_off_peer_access()
    assert (os.environ["NCCL_P2P_DISABLE"], os.environ["NCCL_IB_DISABLE"]) == ("1", "0")
    assert capsys.readouterr().err.startswith("NCCL_P2P_DISABLE set to 1")
