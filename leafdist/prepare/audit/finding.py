"""What an audit says."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Level = Literal["error", "warning", "note"]  # an error is what --strict fails on


class Finding(NamedTuple):
    """`files`: all that it concerns, below the audited folder, those that belong together in one tuple; `remarks`: on
    each of these tuples, or none."""

    kind: str
    level: Level
    text: str
    files: list[tuple[str, ...]]
    remarks: list[str] = []  # noqa: RUF012  # never changed


def alone(files: Iterable[str]) -> list[tuple[str, ...]]:
    """Each file a matter of its own."""
    return [(file,) for file in files]
