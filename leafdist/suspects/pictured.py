"""The suspects as one page of HTML that loads nothing: a picture of each, what was given and what the network says."""

from collections.abc import Sequence
from dataclasses import dataclass

from leafdist.pages.pictures import Picture, thumbnail
from leafdist.pages.render import Section, render_page
from leafdist.suspects.out_of_fold import Pooled
from leafdist.suspects.suspects import Suspect

PICTURED = 1000  # at about 4 KB each


@dataclass(frozen=True)
class Shown:
    """A suspect and its picture, None where the photo cannot be read any more."""

    suspect: Suspect
    picture: Picture | None


@dataclass(frozen=True)
class Gallery:
    """The suspects with pictures, and how many more there are."""

    shown: list[Shown]
    more: int


def page(answers: Pooled, suspects: Sequence[Suspect]) -> str:
    """Return the page, the worst first; photos are read where the evaluations found them."""
    shown = [Shown(one, thumbnail(one.file)) for one in suspects[:PICTURED]]
    gallery = Gallery(shown, max(0, len(suspects) - PICTURED))
    section = Section("suspects", "Labels that look wrong", "suspects/photos.html", gallery)
    return render_page("Suspects", answers.headline(len(suspects)), "", [section], scripts=False)
