"""Faults planted in a clean split, and how many an audit finds: `python -m tests.helpers.planted RAW IDS SEED`."""

import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from leafdist.data.groups import LeafIds, read_groups
from leafdist.data.photos import list_classes, list_images
from leafdist.prepare.audit.audit import audit
from leafdist.prepare.audit.audit_report import Report

EACH = 40  # faults of a kind
TURNS = [*Image.Transpose]


class Score(NamedTuple):
    planted: int
    found: int
    said: int  # by the findings that name this kind
    right: int  # of these

    @property
    def recall(self) -> float:
        return self.found / self.planted

    @property
    def precision(self) -> float:
        return self.right / self.said if self.said else 1.0


class Garden:
    """A split folder with one photo a leaf, and what was planted: kind to the sets of files that belong together."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        self.clean: list[str] = []
        self.planted: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
        self.leaves: list[tuple[str, str, str]] = []

    def fill(self, raw: Path, ids: LeafIds | None) -> None:
        """Copy one photo of each known leaf; keep a second one of some for `leak`. Without ids each photo is a leaf."""
        spare = []
        for label in list_classes(raw):
            leaves: dict[str, list[Path]] = {}
            for entry in list_images(raw / label)[0]:
                photo = Path(entry.path)
                if leaf := photo.stem if ids is None else ids.get((label, photo.stem)):
                    leaves.setdefault(leaf, []).append(photo)
            for leaf, photos in leaves.items():
                split = self.random.choices(("train", "val", "test"), (6, 2, 2))[0]
                self.copy(photos[0], split, label, leaf)
                spare += [(photos[1], split, label, leaf)] if len(photos) > 1 else []
        for photo, split, label, leaf in self.random.sample(spare, min(EACH, len(spare))):
            first = next(file for file in self.clean if Path(file).stem == f"{self._stem(label, leaf)}")
            self.planted["leaked leaf"].append(
                frozenset((first, self.copy(photo, self.other(split), label, leaf, "2")))
            )

    def _stem(self, label: str, leaf: str) -> str:
        return f"{label}-{leaf}".replace("/", "-").replace(":", "-")

    def copy(self, photo: Path, split: str, label: str, leaf: str, suffix: str = "") -> str:
        stem = self._stem(label, leaf) + suffix
        target = self.root / split / label / f"{stem}{photo.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo, target)
        self.leaves.append((label, stem, leaf))
        file = str(target.relative_to(self.root))
        self.clean += [] if suffix else [file]
        return file

    def other(self, split: str) -> str:
        return self.random.choice([name for name in ("train", "val", "test") if name != split])

    def plant(self) -> None:
        """EACH of every kind, on photos of their own."""
        kinds: dict[str, Callable[[Image.Image], Image.Image]] = {
            "re-encoded": lambda image: image,
            "turned or mirrored": lambda image: image.transpose(self.random.choice(TURNS)),
            "cropped": self._crop,
            "conflicting label": lambda image: image,
        }
        victims = iter(self.random.sample(self.clean, EACH * (len(kinds) + 3)))
        for kind, change in kinds.items():
            for _ in range(EACH):
                self._twin(kind, next(victims), change)
        for number in range(EACH):
            victim = next(victims)
            split, label, name = victim.split("/")
            target = f"{self.other(split)}/{label}/copy-{number}{Path(name).suffix}"
            shutil.copyfile(self.root / victim, self.root / target)
            self.planted["exact copy"].append(frozenset((victim, target)))
        for number in range(2 * EACH):
            self._break(next(victims), number)

    def _twin(self, kind: str, victim: str, change: Callable[[Image.Image], Image.Image]) -> None:
        split, label, name = victim.split("/")
        if kind == "conflicting label":
            label = self.random.choice([name for name in list_classes(self.root / split) if name != label])
        target = f"{self.other(split)}/{label}/{kind}-{Path(name).stem}.jpg"
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(self.root / victim) as image:
            changed = change(image.convert("RGB"))
        changed.save(self.root / target, quality=self.random.randint(30, 90))
        self.planted[kind].append(frozenset((victim, target)))

    def _crop(self, image: Image.Image) -> Image.Image:
        """Keeps 88 to 98 % of each side, anywhere, at the size of before."""
        keep, (width, height) = self.random.uniform(0.88, 0.98), image.size
        x, y = self.random.uniform(0, (1 - keep) * width), self.random.uniform(0, (1 - keep) * height)
        return image.resize(image.size, box=(x, y, x + keep * width, y + keep * height))

    def _break(self, victim: str, number: int) -> None:
        path = self.root / victim
        if number % 2:
            with Image.open(path) as image:
                image.convert("RGB").save(path.with_suffix(".png"))
            path.with_suffix(".png").replace(path)
            self.planted["wrong ending"].append(frozenset((victim,)))
            return
        content = path.read_bytes()
        cut = self.random.randrange(1, len(content) - 200)
        noise = self.random.randbytes(2000)
        broken = (content[:cut], b"", b"a text", noise, content[:2] + noise)[number // 2 % 5]
        path.write_bytes(broken)
        self.planted["broken file"].append(frozenset((victim,)))

    def write_ids(self, path: Path) -> Path:
        rows = [("class", "stem", "leaf_id"), *self.leaves]
        path.write_text("".join("\t".join(row) + "\n" for row in rows))
        return path


SAYS = {  # which findings may name a kind
    "broken file": ("undecodable", "truncated"),
    "wrong ending": ("wrong ending",),
    "exact copy": ("exact duplicates across splits",),
    "conflicting label": ("near-duplicates across classes",),
    "leaked leaf": ("leaves across splits",),
} | dict.fromkeys(("re-encoded", "turned or mirrored", "cropped"), ("near-duplicates across splits",))


def score(garden: Garden, report: Report) -> dict[str, Score]:
    """Score the findings; what a finding of several kinds names wrongly counts against each kind."""
    planted = {kind: set(garden.planted[kind]) for kind in garden.planted}
    scores = {}
    for kind, wanted in planted.items():
        said = {
            frozenset(files) for finding in report.findings if finding.kind in SAYS[kind] for files in finding.files
        }
        others = set().union(*(sets for name, sets in planted.items() if name != kind))
        scores[kind] = Score(len(wanted), len(wanted & said), len(said - others), len(wanted & said))
    return scores


def grow(raw: Path, ids: LeafIds | None, folder: Path, seed: int) -> tuple[Garden, Report]:
    """Plant and audit."""
    garden = Garden(folder / "splitted", seed)
    garden.fill(raw, ids)
    garden.plant()
    return garden, audit(garden.root, garden.write_ids(folder / "ids.tsv") if ids else None, workers=2)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        garden, report = grow(Path(sys.argv[1]), read_groups(Path(sys.argv[2])), Path(folder), int(sys.argv[3]))
    print(f"{len(garden.clean)} clean photos, one a leaf; audited in {report.seconds:.0f} s")
    print("| fault | planted | found | recall | named | precision |\n| --- | --- | --- | --- | --- | --- |")
    for kind, s in score(garden, report).items():
        print(f"| {kind} | {s.planted} | {s.found} | {s.recall:.1%} | {s.said} | {s.precision:.1%} |")


if __name__ == "__main__":
    main()
