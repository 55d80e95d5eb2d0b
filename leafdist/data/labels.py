"""labels.tsv: photos whose label a person looked at, and what becomes of each: keep, move or drop.

A person fills it in after `leafdist suspects`; `leafdist split` and the index of a split do what it says.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from leafdist.data.columns import read_columns
from leafdist.data.photos import SPLITS
from leafdist.system import files
from leafdist.system.console import counted

NAME = "labels.tsv"  # beside train, val and test
COLUMNS = ("path", "action", "class")
ACTIONS = ("keep", "move", "drop")


@dataclass(frozen=True)
class LabelRow:
    """photo: `class/file`, as it lies; split: the one that `path` names, empty where it names none; target: the class
    that the photo is moved to, empty for keep and drop; at: the file and line, for messages.
    """

    photo: str
    split: str
    action: str
    target: str
    at: str


@dataclass(frozen=True)
class LabelCounts:
    """The SHA-256 of the file that was used, and its rows by action."""

    sha256: str
    keep: int
    move: int
    drop: int

    def words(self) -> str:
        """Return the rows by action: `3 photos moved to another class, 2 dropped, 5 kept`."""
        return f"{counted(self.move, 'photo')} moved to another class, {self.drop} dropped, {self.keep} kept"


def read_labels(path: Path) -> list[LabelRow]:
    """Read the rows. Raises ValueError naming the line of an unknown action, a move to nowhere or a second row."""
    rows: dict[str, LabelRow] = {}
    for line, (photo, action, target) in read_columns(path, COLUMNS, paths=True):
        at = f"{path}, line {line}"
        if action not in ACTIONS:
            raise ValueError(f"{at}: the action of {photo} is {action!r}: it must be {', '.join(ACTIONS)}. Correct it")
        if action == "move" and not target:
            raise ValueError(f"{at}: {photo} is moved, but to no class. Write its class into the column 'class'")
        first, _, rest = photo.partition("/")
        split = first if first in SPLITS and "/" in rest else ""
        row = LabelRow(rest if split else photo, split, action, target if action == "move" else "", at)
        if photo in rows:
            raise ValueError(f"{at}: {photo} stands in {rows[photo].at} too. Keep one of the two")
        rows[photo] = row
    return list(rows.values())


def check_targets(rows: Collection[LabelRow], classes: Collection[str]) -> None:
    """Raises ValueError for a row that moves a photo to a class that is not there."""
    if wrong := next((row for row in rows if row.target and row.target not in classes), None):
        known = ", ".join(sorted(classes)[:3])
        raise ValueError(
            f"{wrong.at}: {wrong.photo} is moved to {wrong.target!r}, which is no class here. Name one of {known}, …, "
            "as its folder is called"
        )


def no_photo(row: LabelRow, folder: Path) -> ValueError:
    """Return the error about a row that names no photo below `folder`."""
    return ValueError(
        f"{row.at}: {folder} holds no photo {row.photo}: a path is CLASS/FILE as the photo lies there. Correct it, or "
        "take the row out"
    )


def counts_of(path: Path, rows: Collection[LabelRow]) -> LabelCounts:
    """Return what is kept of the file: its digest and its rows by action."""
    counts = Counter(row.action for row in rows)
    return LabelCounts(files.sha256(path), *(counts[action] for action in ACTIONS))
