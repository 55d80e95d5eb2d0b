"""What must hold on the device at hand: a GPU where there is one (benchmarks/gpu.sh), else the CPU."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from leafdist.config.schema import AugmentConfig
from leafdist.data.augment import Augment
from leafdist.data.index import scan
from leafdist.data.loader import Loader
from leafdist.data.pack import ensure_pack
from leafdist.data.plan import EpochPlan, streams
from leafdist.data.source import PackSource
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
needs_cuda = pytest.mark.skipif(not CUDA, reason="needs a CUDA device")


def test_batches_arrive_as_read(photos: Path) -> None:
    """From the device's memory and from the host's, many in a row, so that copies ahead could mix them up."""
    index = scan(photos, "train")
    source = PackSource(index, 24, ensure_pack(index, 24, photos / "cache", 1))
    shares = [share for epoch in range(20) for share in EpochPlan(17, 5, 0, epoch).shares(0, 1)]
    for resident in (False, True):
        loader = Loader(source, DEVICE, 0, resident=resident)
        for share, batch in zip(shares, loader.batches(shares), strict=True):
            assert batch.share is share
            assert batch.images.device.type == DEVICE.type
            np.testing.assert_array_equal(batch.images.cpu().numpy(), source.rows[share.indices])
            np.testing.assert_array_equal(batch.labels.cpu().numpy(), index.labels[share.indices])
            np.testing.assert_array_equal(batch.indices.cpu().numpy(), share.indices)


def test_gpu_augments_as_cpu() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (64, 20, 20, 3), np.uint8))
    draws = torch.from_numpy(EpochPlan(64, 64, seed=0, epoch=0).share(0).draws)
    for augment in (Augment(13, 0.5, 0.5, "imagenet"), Augment(0, 0.5, 0), Augment(13).for_evaluation()):
        mine = augment(images.to(DEVICE), draws.to(DEVICE)).cpu()
        assert (mine - augment(images, draws)).abs().max() < 1e-6
    more = AugmentConfig(scale=[0.3, 1.0], rotate=20, color=0.4, gray=0.2, blur=0.5, erase=0.5)
    augment, plan = Augment(13, 0.5, 0.5, "imagenet", more), EpochPlan(64, 64, 0, 0, streams(more))
    draws = torch.from_numpy(plan.share(0).draws)
    apart = (augment(images.to(DEVICE), draws.to(DEVICE)).cpu() - augment(images, draws)).abs()
    assert apart.median() < 1e-5
    assert (apart > 1e-3).double().mean() < 0.01, "where a pixel of an edge is seen or not, rounding may decide"


@pytest.mark.slow
@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("precision", ["auto", "fp16"])
def test_deterministic_run_resumes_bit_for_bit(precision: str, program: Program, photos: Path, tmp_path: Path) -> None:
    """On CPUs test_training.py has it. Under fp16 the scale comes back too."""
    common = ["train.py", "--data.root", photos, *TINY, "--train.deterministic", "true", "--train.epochs", 2]
    common += ["--train.precision", precision, "--train.save_every", 2]
    runs = tmp_path / "runs"
    for name in ("whole", "parts", "parts"):
        shutil.rmtree(runs / name / "last" / "step-000000006", ignore_errors=True)  # as if killed at the one before
        done = program(*common, "--run.name", name)
        assert done.returncode == 0, done.stderr
    assert "step 4" in done.stdout
    weights = [load_file(runs / name / "best" / "model.safetensors") for name in ("whole", "parts")]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert events(runs / "parts") == events(runs / "whole")
    state = json.loads((max((runs / "parts" / "last").iterdir()) / "state.json").read_text())
    assert state["scaler"]["scale"] > 0 if precision == "fp16" else state["scaler"] is None
