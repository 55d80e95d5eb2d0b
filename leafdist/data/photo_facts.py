"""Which photos a run is bound to."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SplitFacts:
    """The photos of one split: how many, and the digest of their names and sizes."""

    photos: int
    digest: str


@dataclass(frozen=True)
class DataFacts:
    """What a run is bound to besides its configuration: its classes in the order of their labels, and its photos.

    passed_over: files of each split that are no photos, by kind; a run is not bound to these.
    """

    classes: list[str]
    data: dict[str, SplitFacts]
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What split.json says of a split: the digest of its photos, and whether leaves stay together, in words."""

    split_digest: str | None
    leaf_disjoint: str
