"""Paths of millions of photos in little memory: one run of bytes, in this process or mapped from a file."""

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


class Names(Sequence[str]):
    """`class/file` of every photo, class by class. File names that are no text survive (os.fsencode)."""

    def __init__(self, counts: Mapping[str, int], text: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        """Photos a class; all file names, one after the other; where each ends in `text`."""
        self.counts, self.text, self.ends = dict(counts), text, ends
        self.classes, self.lasts = list(counts), list(accumulate(counts.values()))
        self.kept: Path | None = None

    @classmethod
    def of(cls, files: Mapping[str, Sequence[bytes]]) -> "Names":
        counts = {name: len(some) for name, some in files.items()}
        text = np.frombuffer(b"".join(chain.from_iterable(files.values())), np.uint8)
        sizes = (len(file) for some in files.values() for file in some)
        return cls(counts, text, np.cumsum(np.fromiter(sizes, np.int64, sum(counts.values()))))

    @classmethod
    def mapped(cls, counts: Mapping[str, int], path: Path) -> "Names":
        """As `write` left them: pages are read when asked for, and shared by the processes of a node."""
        photos = sum(counts.values())
        ends = np.memmap(path, np.int64, "r", shape=(photos,))
        names = cls(counts, np.memmap(path, np.uint8, "r", offset=8 * photos), ends)
        names.kept = path
        return names

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(self.ends.data)
            file.write(self.text.data)

    def loaded(self) -> "Names":
        """In this process's memory, for helpers that start later, when another job may have made the file anew."""
        return Names(self.counts, np.array(self.text), np.array(self.ends))

    def without(self, places: Sequence[int]) -> "Names":
        """Those that are left, in this process's memory."""
        gone = set(places)
        files: dict[str, list[bytes]] = {name: [] for name in self.counts}
        for place, path in enumerate(self):
            if place not in gone:
                name, _, file = path.rpartition("/")
                files[name].append(os.fsencode(file))
        return Names.of(files)

    def __reduce__(self) -> Any:
        """Between processes mapped names travel as their place; on another node it may hold nothing: see `here`."""
        return (_open, (self.counts, self.kept)) if self.kept else (Names, (self.counts, self.text, self.ends))

    @property
    def here(self) -> bool:
        return len(self.ends) == len(self)

    def __len__(self) -> int:
        return self.lasts[-1] if self.lasts else 0

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        start = self.ends[place - 1] if place else 0
        file = os.fsdecode(self.text[start : self.ends[place]].tobytes())
        return f"{self.classes[bisect_right(self.lasts, place)]}/{file}"


def _open(counts: Mapping[str, int], path: Path) -> Names:
    if path.exists():
        return Names.mapped(counts, path)
    return Names(counts, np.empty(0, np.uint8), np.empty(0, np.int64))
