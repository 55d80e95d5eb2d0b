"""Which photos a run is bound to."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from leafdist.system.console import counted


@dataclass(frozen=True)
class SplitFacts:
    """The photos of one split: how many, and the digest of their names and sizes."""

    photos: int
    digest: str


@dataclass(frozen=True)
class DataFacts:
    """What a run is bound to besides its configuration: its classes in the order of their labels, and its photos.

    passed_over: files of each split that are no photos, by kind; a run is not bound to these. class_weights: of the
    classes in the loss, by label, where they are not all one. class_map: what `data.classes` says, their names to ours.
    masks: digest of the masks of the leaves in train, where they get other backgrounds; backgrounds: of the photos in
    `augment.background_folder`.

    `data` and `passed_over` call the splits of another root `train@<name of the root>`.
    """

    classes: list[str]
    data: dict[str, SplitFacts]
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)
    class_weights: list[float] | None = None
    class_map: dict[str, str] | None = None
    masks: str | None = None
    backgrounds: str | None = None

    def changes(self, new: "DataFacts") -> Iterator[str]:
        """Say in words what is otherwise in `new`: a line for the classes, one for each split, one for the weights."""
        if self.classes != new.classes:
            gone = [f"without {name}" for name in self.classes if name not in new.classes]
            added = [f"with {name}" for name in new.classes if name not in self.classes]
            yield f"classes: {', '.join(gone + added) or 'in another order'}"
        for split in sorted({*self.data, *new.data}):
            before, after = self.data.get(split), new.data.get(split)
            if before != after:
                old, now = (counted(one.photos if one else 0, "photo") for one in (before, after))
                yield f"data: {split}: {old} -> {now if old != now else 'as many, with other names, sizes or labels'}"
        alike = self.classes == new.classes and self.data.get("train") == new.data.get("train")
        if alike and self.class_weights != new.class_weights:
            yield "the file of optim.class_weights: other weights"
        if self.class_map != new.class_map:
            yield "the file of data.classes: other classes"
        if alike and self.masks != new.masks:
            yield "the masks of the leaves in train: others, of another OpenCV or leafdist"
        if self.backgrounds != new.backgrounds:
            yield "the photos in augment.background_folder: others, by name or size"


@dataclass(frozen=True)
class Origin:
    """What split.json says of a split: the digest of its photos, and whether leaves stay together, in words."""

    split_digest: str | None
    leaf_disjoint: str
