"""The docs cannot rot: every page is in the table of contents, every link leads somewhere, every command works."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.docs_commands import blocks, check_commands, check_inline, commands
from tests.helpers.paths import REPO

DOCS = REPO / "docs"
CONTENTS = DOCS / "README.md"
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
LISTED = re.compile(r"^\d+\. \[[^\]]+\]\(([^)#]+)\)", re.MULTILINE)
ORDER = LISTED.findall(CONTENTS.read_text(encoding="utf-8"))
PAGES = [REPO / "README.md", CONTENTS, *(DOCS / name for name in ORDER)]
UNMARKED = {REPO / "README.md": "sh minutes"}  # blocks of commands there count as so marked
START = "first-run.md"


def read(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    if mark := UNMARKED.get(page):
        text = re.sub(
            r"^```\n(?=(?:make|leafdist|python|accelerate|sbatch) )", f"```{mark}\n", text, flags=re.MULTILINE
        )
    return text


def runnable(page: Path) -> str:
    return "".join(block.text for block in blocks(read(page)) if not block.needs)


def test_contents_list_every_page_once() -> None:
    assert sorted([*ORDER, CONTENTS.name]) == sorted(path.name for path in DOCS.glob("*.md"))
    assert ORDER[0] == START


def test_settings_page_is_generated() -> None:
    made = runpy.run_path(str(REPO / "scripts" / "configuration_page.py"))["page"]()
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == made, "scripts/configuration_page.py makes it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_every_link_has_a_target(page: Path) -> None:
    for text, target in LINK.findall(read(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"[{text}]({target})"
        assert not anchor or anchor in headings(file), f"[{text}]({target})"


def headings(page: Path) -> set[str]:
    """As GitHub names them in addresses."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_every_command_parses(page: Path) -> None:
    for block in blocks(read(page)):
        check_commands(block.text)
    check_inline(read(page))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("leafdist split raw splitted --mood copy", "unrecognized arguments: --mood copy"),
        ("leafdist splot raw splitted", "did you mean split"),
        ("leafdist bench --optim.lrr 3", "did you mean optim.lr"),
        ("python train.py --config configs/absent.yaml", "no such file"),
        ("LEAFDIST_EXPECT_WORLD=2 accelerate launch --multi_gpu train.py --train.epoch 3", "train.epochs"),
        ("accelerate launch --multi_gpus train.py", "multi_gpu"),
        ("torchrun --nproc_per_node 2 evaluate.py runs/a --spilt val", "--spilt"),
        ("python evaluate.py runs/a | head -n 1 && python absent.py", "absent.py"),
        ("sbatch --gres=gpu:1 slurm/absent.sbatch", "slurm/absent.sbatch"),
        ("sbatch --grease=gpu:1 slurm/train.sbatch", "sbatch --grease"),
        ("sbatch slurm/train.sbatch --data.rot x", "data.root"),
        ("make tests", "make tests"),
        ("wandb sweep configs/absent.yaml", "configs/absent.yaml"),
        ("leafdits split raw splitted", "leafdits"),
    ],
)
def test_broken_command_is_noticed(command: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_commands(command)


@pytest.mark.parametrize(
    "text", ["see `leafdist splot`", "`leafdist split --mood`", "set `train.epoch` or", "`--optim.lrr 3e-4` does"]
)
def test_unknown_name_in_prose_is_noticed(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such|unknown"):
        check_inline(text)


def test_command_blocks_must_be_marked() -> None:
    for page in ("```\nleafdist split a b\n```\n", "```sh moon\nleafdist split a b\n```\n"):
        with pytest.raises(ValueError, match=r"not marked|needs moon"):
            blocks(page)
    assert blocks("```\nruns/resnet50/\n  config.yaml\n```\n```json\n{}\n```\n") == []
    assert list(commands("cat > a <<END\nnot a command\nEND\nleafdist \\\n  runs # why\n")) == [
        ["cat", ">", "a"],
        ["leafdist", "runs"],
    ]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout's root, with leafdist and Python on the path, after the first page."""
    folder = tmp_path_factory.mktemp("docs") / "checkout"
    folder.mkdir()
    for name in ("train.py", "evaluate.py", "configs", "slurm", "scripts"):
        (folder / name).symlink_to(REPO / name)
    (folder / "bin").mkdir()
    for name, arguments in (("python", ""), ("leafdist", "-m leafdist ")):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        (folder / "bin" / name).chmod(0o755)
    run_page(DOCS / START, folder)
    make_at_hand(folder)
    return folder


def make_at_hand(folder: Path) -> None:
    """What later pages speak of: runs of the usual names, photos."""
    for name in ("resnet50", "baseline"):
        shutil.copytree(folder / "runs" / "smoke", folder / "runs" / name)
    photos = sorted((folder / "splitted" / "test").rglob("*.jpg"))[:3]
    (folder / "photos").mkdir()
    for number, photo in enumerate(photos):
        shutil.copy(photo, folder / "photos" / f"{number}.jpg")
    shutil.copy(photos[0], folder / "leaf.jpg")


def run_page(page: Path, folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "SLURM"))}
    environment |= {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(REPO), "HOME": str(folder)}
    command = ["bash", "-euo", "pipefail", "-x", "-c", runnable(page)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_readme_commands_leave_what_they_say(checkout: Path) -> None:
    for path in ("runs/smoke/eval-test.json", "runs/second/predictions-test.csv", "disagree.csv", "compared.json"):
        assert (checkout / path).exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ORDER[1:] if runnable(DOCS / name)])
def test_commands_of_other_pages_run(name: str, checkout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    shutil.copytree(checkout, folder, symlinks=True)
    run_page(DOCS / name, folder)
