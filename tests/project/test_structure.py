"""The structure of the code: its layers, its fences, the figures of scripts/structure.py, and the tests themselves."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.code_tree import tree
from scripts.structure import LIMITS, Module, Structure
from tests.helpers.paths import REPO

FENCES = {  # package: the modules that may import it
    "accelerate": {"leafdist/distributed/runtime.py"},
    "cv2": {"leafdist/masks/cut.py"},
    "cleanlab": {"leafdist/suspects/suspects.py"},
    "litert_torch": {"leafdist/export/litert_file.py"},
    "ai_edge_litert": {"leafdist/export/litert_file.py"},
    "onnx": {"leafdist/export/onnx_file.py"},
    "onnxruntime": {"leafdist/export/onnx_file.py"},
    "timm": {"leafdist/models/timm_import.py"},
    "wandb": {"leafdist/tracking/wandb_client.py"},
    "torch.utils.tensorboard": {"leafdist/tracking/tensorboard.py"},
}
UNLOADED = {  # folder: what importing all of it must not bring along
    "system": ("torch", "yaml"),
    "config": ("torch", "numpy"),
    "models": ("accelerate", "wandb", "leafdist.tracking", "leafdist.distributed"),
}


TESTS = sorted((REPO / "tests").rglob("*.py"))
SHARING = ("helpers", "faults")  # folders of tests/ that hold more than tests


@pytest.fixture(scope="module")
def structure() -> Structure:
    return Structure(REPO)


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
    modules = [f"leafdist.{folder}.{path.stem}" for path in (REPO / "leafdist" / folder).glob("[a-z]*.py")]
    loads = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True, cwd=REPO)
    assert set(loaded.stdout.split()).isdisjoint(UNLOADED[folder])


def functions(path: Path) -> list[str]:
    """Return the names of all test functions of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.mark.parametrize("path", [path for path in TESTS if path.name.startswith("test_")], ids=lambda path: path.stem)
def test_names_are_short_and_unique(path: Path) -> None:
    found = functions(path)
    assert [name for name in found if len(name.split("_")) > 7] == [], "more than six words"
    assert sorted(set(found)) == sorted(found)


def test_tests_share_only_helpers() -> None:
    for path in TESTS:
        module = Module(REPO, path.relative_to(REPO))
        tests = {name for name in module.packages() if name.startswith("tests.") and name.count(".") > 1}
        folders = {name.split(".")[1] for name in tests}
        assert folders <= set(SHARING), path
        assert not [name for name in tests if ".test_" in name], path
    strays = [path for path in TESTS if not path.name.startswith(("test_", "__init__", "conftest"))]
    assert [path for path in strays if path.parent.name not in SHARING] == []


CODE_PAGE = (REPO / "docs" / "code.md").read_text(encoding="utf-8")


def test_page_has_every_file(structure: Structure) -> None:
    assert CODE_PAGE.endswith(tree(structure.modules)), "python -m scripts.code_tree makes its end"


def test_walks_name_what_exists(structure: Structure) -> None:
    walked = set(re.findall(r"`([a-z_/]+\.py):(\w+)`", CODE_PAGE))
    defined = {
        (str(module.path).removeprefix("leafdist/"), name) for module in structure.modules for name in names(module)
    }
    assert len(walked) > 40
    assert walked - defined == set()


def names(module: Module) -> set[str]:
    """What a module defines at its top level."""
    found = {name for name, _ in module.definitions()}
    return found | {target.id for target in ast.walk(module.tree) if isinstance(target, ast.Name)}
