"""Paths of millions of photos in little memory: one array of bytes, in this process or mapped from a file."""

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


class Names(Sequence[str]):
    """`class/file` of every photo, class by class. File names may hold any bytes (os.fsencode)."""

    def __init__(self, counts: Mapping[str, int], text: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        """Take photos per class, the joined file names, and the end of each in `text`."""
        self.counts, self.text, self.ends = dict(counts), text, ends
        self.classes, self.lasts = list(counts), list(accumulate(counts.values()))
        self.kept: Path | None = None

    @classmethod
    def of(cls, files: Mapping[str, Sequence[bytes]]) -> "Names":
        """Join the file names of each class."""
        counts = {name: len(some) for name, some in files.items()}
        text = np.frombuffer(b"".join(chain.from_iterable(files.values())), np.uint8)
        sizes = (len(file) for some in files.values() for file in some)
        return cls(counts, text, np.cumsum(np.fromiter(sizes, np.int64, sum(counts.values()))))

    @classmethod
    def joined(cls, folders: Mapping[str, "Names"]) -> "Names":
        """Join names into this process's memory, each after the path of its folder, which may be empty."""
        counts = {os.path.join(at, name): count for at, one in folders.items() for name, count in one.counts.items()}  # noqa: PTH118
        starts = accumulate((len(one.text) for one in folders.values()), initial=0)
        ends = [start + one.ends for start, one in zip(starts, folders.values(), strict=False)]
        return cls(counts, np.concatenate([one.text for one in folders.values()]), np.concatenate(ends))

    @classmethod
    def mapped(cls, counts: Mapping[str, int], path: Path) -> "Names":
        """Map what `write` wrote: pages are read when needed and shared by the processes of a node."""
        photos = sum(counts.values())
        ends = np.memmap(path, np.int64, "r", shape=(photos,))
        names = cls(counts, np.memmap(path, np.uint8, "r", offset=8 * photos), ends)
        names.kept = path
        return names

    def write(self, path: Path) -> None:
        """Write the names so that they can be mapped, without the counts."""
        with path.open("wb") as file:
            file.write(self.ends.data)
            file.write(self.text.data)

    def loaded(self) -> "Names":
        """Copy the names into memory, for helpers that start later, when another job may have replaced the file."""
        return Names(self.counts, np.array(self.text), np.array(self.ends))

    def without(self, indices: Sequence[int]) -> "Names":
        """Copy the names into memory, but for those at `indices`."""
        gone = set(indices)
        files: dict[str, list[bytes]] = {name: [] for name in self.counts}
        for index, path in enumerate(self):
            if index not in gone:
                name, _, file = path.rpartition("/")
                files[name].append(os.fsencode(file))
        return Names.of(files)

    def __reduce__(self) -> Any:
        """Mapped names are sent to other processes as their path, which another node may not see: check `here`."""
        return (_open, (self.counts, self.kept)) if self.kept else (Names, (self.counts, self.text, self.ends))

    @property
    def here(self) -> bool:
        """Whether this node sees the file of mapped names."""
        return len(self.ends) == len(self)

    def __len__(self) -> int:
        return self.lasts[-1] if self.lasts else 0

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = self.ends[index - 1] if index else 0
        file = os.fsdecode(self.text[start : self.ends[index]].tobytes())
        return f"{self.classes[bisect_right(self.lasts, index)]}/{file}"


def _open(counts: Mapping[str, int], path: Path) -> Names:
    if path.exists():
        return Names.mapped(counts, path)
    return Names(counts, np.empty(0, np.uint8), np.empty(0, np.int64))
