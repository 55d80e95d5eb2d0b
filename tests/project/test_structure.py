"""The structure of the code: its layers, its fences, and the figures of scripts/structure.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.structure import LIMITS, Structure

ROOT = Path(__file__).parents[2]
FENCES = {  # package: the modules that may import it
    "accelerate": {"leafdist/distributed/runtime.py"},
    "onnx": {"leafdist/export/onnx_file.py"},
    "onnxruntime": {"leafdist/export/onnx_file.py"},
    "wandb": {"leafdist/tracking/wandb_client.py"},
    "torch.utils.tensorboard": {"leafdist/tracking/tensorboard.py"},
}
UNLOADED = {  # folder: what importing all of it must not bring along
    "system": ("torch", "yaml"),
    "config": ("torch", "numpy"),
    "models": ("accelerate", "wandb", "leafdist.tracking", "leafdist.distributed"),
}


@pytest.fixture(scope="module")
def structure() -> Structure:
    return Structure(ROOT)


def test_imports_point_down(structure: Structure) -> None:
    assert structure.upward() == []


def test_packages_stay_behind_fences(structure: Structure) -> None:
    for package, allowed in FENCES.items():
        users = {str(module.path) for module in structure.modules if package in module.packages()}
        assert users == allowed, package


@pytest.mark.parametrize("figure", LIMITS)
def test_figures_keep_their_limits(structure: Structure, figure: str) -> None:
    assert structure.figures()[figure] <= LIMITS[figure]


@pytest.mark.parametrize("folder", UNLOADED)
def test_low_folders_load_little(folder: str) -> None:
    modules = [f"leafdist.{folder}.{path.stem}" for path in (ROOT / "leafdist" / folder).glob("[a-z]*.py")]
    loads = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(loaded.stdout.split()).isdisjoint(UNLOADED[folder])
