"""Runs as a command line names them: folders, or a pattern in quotes that the shell left to us."""

import re
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from leafdist.runs.layout import RunLayout


def named_runs(names: Sequence[str]) -> list[Path]:
    """Return the folders that `names` name, each once; a pattern stands for the runs among what it matches, in order.

    Raises ValueError for a pattern without a run.
    """
    found = [path for name in names for path in _matches(name)]
    return list({path.resolve(): path for path in found}.values())


def _matches(name: str) -> list[Path]:
    if Path(name).exists() or not re.search(r"[*?[]", name):
        return [Path(name)]
    found = map(Path, glob(name))  # noqa: PTH207 - Path.glob takes no absolute pattern
    runs = [path for path in found if RunLayout(path).config.is_file()]
    if not runs:
        raise ValueError(f"{name}: matches no run folder (one with a config.yaml). Name them such as 'runs/fold-*'")
    return sorted(runs, key=lambda path: [_natural(part) for part in path.parts])


def _natural(text: str) -> list[str | int]:
    """The parts of a name, so that fold-10 comes after fold-9; digits of other scripts are letters here."""
    return [int(part) if re.fullmatch("[0-9]+", part) else part for part in re.split(r"([0-9]+)", text)]
