"""What differs between the photos of two starts of a run, in words."""

from dataclasses import replace

import pytest

from leafdist.data.photo_facts import DataFacts, SplitFacts


def facts(classes: str, **photos: int | str) -> DataFacts:
    """Classes as letters; a number of photos, or a text as the digest of one photo."""
    data = {
        name: SplitFacts(value, str(value)) if isinstance(value, int) else SplitFacts(1, value)
        for name, value in photos.items()
    }
    return DataFacts([*classes], data)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (facts("ab", train=3), facts("ab", train=3), []),
        (facts("ab", train=3), facts("ab", train=1), ["data: train: 3 photos -> 1 photo"]),
        (
            facts("ab", train="x"),
            facts("ab", train="y"),
            ["data: train: 1 photo -> as many, with other names, sizes or labels"],
        ),
        (facts("ab", val=2), facts("ab"), ["data: val: 2 photos -> 0 photos"]),
        (facts("ab"), facts("bc"), ["classes: without a, with c"]),
        (facts("ab"), facts("ba"), ["classes: in another order"]),
        (
            facts("ab"),
            replace(facts("ab"), class_weights=[0.5, 1.5]),
            ["the file of optim.class_weights: other weights"],
        ),
        (facts("a"), facts("b", test=1234), ["classes: without a, with b", "data: test: 0 photos -> 1,234 photos"]),
    ],
)
def test_changes_are_said_in_words(old: DataFacts, new: DataFacts, lines: list[str]) -> None:
    assert list(old.changes(new)) == lines
