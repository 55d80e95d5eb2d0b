"""Photos to try an exported network on: the run's own where they are at hand, those of a folder, or drawn ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.config.schema import DataConfig
from leafdist.data.decode import decode
from leafdist.data.loader import Loader
from leafdist.data.open import has_split, open_loaders
from leafdist.data.plan import EVALUATION_BATCH, Share
from leafdist.data.walk import photos_below
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.predictions import spread
from leafdist.export.subject import Pixels
from leafdist.prepare.leaf import draw_leaf
from leafdist.prepare.sample import CLASSES, CROPS, DISEASES
from leafdist.system import console
from leafdist.system.errors import UnreadablePhotoError

ENOUGH = 512  # photos, evenly spread over the folder, to calibrate and to compare with
DRAWN = 64


class Photos:
    """The val and test splits of a run; `folder`, if given, is taken instead of val."""

    def __init__(self, data: DataConfig, classes: tuple[str, ...], runtime: Runtime, folder: Path | None) -> None:
        self.data, self.classes, self.runtime, self.folder = data, classes, runtime, folder

    def to_calibrate(self) -> Pixels:
        """Return photos of the folder or of val. Raises ValueError if there is none."""
        if self.folder:
            return self._read_folder(self.folder)
        if (val := self._loader("val")) is None:
            raise ValueError(
                f"--precision int8 is calibrated on photos, and {self.data.root}/val is not there. Name a folder of "
                "photos with --calibrate"
            )
        return val.source.read(spread(len(val.source.index), ENOUGH))[0]

    def to_compare(self) -> tuple[Pixels, str]:
        """Return photos of test, else of the folder, else drawn ones; and words for which these are."""
        if (test := self._loader("test")) is not None:
            return test.source.read(spread(len(test.source.index), ENOUGH))[0], "of the test split"
        if self.folder:
            return self._read_folder(self.folder), f"of {self.folder}"
        return self._draw(), "drawn, since the run's data is not at hand"

    def test(self) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
        """Yield batches of the test split with their labels; none if it is not at hand."""
        if (loader := self._loader("test")) is None:
            return
        rows, size = np.arange(len(loader.source.index)), EVALUATION_BATCH["cpu"]
        with console.bar(len(rows), "photo", "test") as bar:
            for batch in loader.batches(Share.undrawn(rows[start : start + size]) for start in rows[::size]):
                yield batch.images.cpu().numpy(), batch.labels.cpu().numpy()
                bar.update(len(batch.labels))

    def _loader(self, split: str) -> Loader | None:
        if not has_split(self.data, split, self.runtime):
            return None
        return open_loaders(self.data, (split,), self.runtime, self.classes)[split]

    def _read_folder(self, folder: Path) -> Pixels:
        paths = list(photos_below([folder], console.warn))
        found, data = list[Pixels](), self.data
        how = int(data.resize), data.fit, data.max_pixels, data.interpolation
        for number in spread(len(paths), ENOUGH):
            try:
                found.append(decode(paths[number], *how))
            except UnreadablePhotoError as error:
                console.warn(str(error))
        if not found:
            raise ValueError(f"--calibrate {folder}: no photo there that can be read. Name a folder of photos")
        return np.stack(found)

    def _draw(self) -> Pixels:
        side, leaves = int(self.data.resize), []
        for number in range(DRAWN):
            crop, disease = CLASSES[number % len(CLASSES)].split("___")
            leaf = draw_leaf(CROPS[crop], DISEASES[disease], max(side, 64), np.random.default_rng(number))
            leaves.append(np.asarray(leaf.resize((side, side)).convert("RGB")))
        return np.stack(leaves)
