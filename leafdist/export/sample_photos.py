"""Photos to try an exported network on: of the run's own data where it is at hand, of a folder, or drawn."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.config.schema import DataConfig
from leafdist.data.decode import decode
from leafdist.data.loader import Loader
from leafdist.data.open import open_loaders
from leafdist.data.plan import Share
from leafdist.data.walk import photos_below
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import BATCH
from leafdist.evaluation.other_photos import has_split
from leafdist.export.subject import Pixels
from leafdist.prepare.leaf import draw_leaf
from leafdist.prepare.sample import CLASSES, CROPS, DISEASES
from leafdist.system import console
from leafdist.system.errors import UnreadablePhotoError

ENOUGH = 512  # photos, evenly spread over the folder, to calibrate and to compare with
DRAWN = 64


class Photos:
    """Of a run: its val and test splits, and `folder`, which stands in for val."""

    def __init__(self, data: DataConfig, classes: tuple[str, ...], runtime: Runtime, folder: Path | None) -> None:
        self.data, self.classes, self.runtime, self.folder = data, classes, runtime, folder

    def to_calibrate(self) -> Pixels:
        """Raises ValueError where there is none."""
        if self.folder:
            return self._of_folder(self.folder)
        if (val := self._loader("val")) is None:
            raise ValueError(
                f"--precision int8 is calibrated on photos, and {self.data.root}/val is not there. Name a folder of "
                "photos with --calibrate"
            )
        return spread(val)

    def to_compare(self) -> tuple[Pixels, str]:
        """And what they are."""
        if (test := self._loader("test")) is not None:
            return spread(test), "of the test split"
        if self.folder:
            return self._of_folder(self.folder), f"of {self.folder}"
        return self._drawn(), "drawn, since the run's data is not at hand"

    def test(self) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
        """Batches of the test split with their labels; none where it is not at hand."""
        if (loader := self._loader("test")) is None:
            return
        places, size = np.arange(len(loader.source.index)), BATCH["cpu"]
        with console.bar(len(places), "photo", "test") as bar:
            for batch in loader.batches(Share.undrawn(places[start : start + size]) for start in places[::size]):
                yield batch.images.cpu().numpy(), batch.labels.cpu().numpy()
                bar.update(len(batch.labels))

    def _loader(self, split: str) -> Loader | None:
        if not has_split(self.data, split, self.runtime):
            return None
        return open_loaders(self.data, (split,), self.runtime, self.classes)[split]

    def _of_folder(self, folder: Path) -> Pixels:
        paths = list(photos_below([folder], console.warn))
        found = list[Pixels]()
        for place in evenly(len(paths)):
            try:
                found.append(decode(paths[place], self.data.resize, self.data.fit))
            except UnreadablePhotoError as error:
                console.warn(str(error))
        if not found:
            raise ValueError(f"--calibrate {folder}: no photo there that can be read. Name a folder of photos")
        return np.stack(found)

    def _drawn(self) -> Pixels:
        side = self.data.resize
        kinds = [CLASSES[number % len(CLASSES)].split("___") for number in range(DRAWN)]
        generators = [np.random.default_rng(number) for number in range(DRAWN)]
        leaves = (
            draw_leaf(CROPS[crop], DISEASES[disease], max(side, 64), generator).resize((side, side))
            for (crop, disease), generator in zip(kinds, generators, strict=True)
        )
        return np.stack([np.asarray(leaf.convert("RGB")) for leaf in leaves])


def spread(loader: Loader) -> Pixels:
    return loader.source.read(evenly(len(loader.source.index)))[0]


def evenly(count: int) -> NDArray[np.int64]:
    """At most ENOUGH places of `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, ENOUGH)).astype(np.int64)) if count else np.empty(0, np.int64)
