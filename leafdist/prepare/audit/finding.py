"""One thing that an audit found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["error", "warning", "note"]  # --strict fails on an error


@dataclass(frozen=True)
class Finding:
    """files: all concerned, below the audited folder, in one tuple if they belong together; remarks: one per tuple."""

    kind: str
    level: Level
    text: str
    files: list[tuple[str, ...]]
    remarks: list[str] = field(default_factory=list)


def alone(files: Iterable[str]) -> list[tuple[str, ...]]:
    """Put each file into a tuple of its own."""
    return [(file,) for file in files]
