"""Photos: the mistakes of which the model was surest, and hits as they usually are."""

import numpy as np

from leafdist.pages.html import Child, Html, tag
from leafdist.pages.pictures import Pictures, picture
from leafdist.pages.words import percent, title_of
from leafdist.report.attention import Picture, attention, places
from leafdist.report.contents import Answers, Facts

MISTAKES, HITS, LOOKS = 18, 12, 8
COARSE = 5  # places a side below which a map tells little
OF_A_PAIR = 3  # most of one kind of mistake, so that others are seen too


def gallery(facts: Facts, pictures: Pictures) -> Html | None:
    """The surest mistakes and typical hits; None where the photos are gone."""
    answers = facts.answers
    if answers is None or not pictures.folder.is_dir():
        return None
    mistakes, hits = surest_mistakes(answers), typical_hits(answers)
    return tag(
        "section",
        tag("h2", "Photos", id="photos"),
        tag("h3", "Mistakes of which the model was surest"),
        _grid(facts, pictures, mistakes) or tag("p", "They cannot be shown." if mistakes else "None of those it read."),
        tag("h3", "Typical hits"),
        _grid(facts, pictures, hits),
        _looks(facts, pictures, mistakes, hits),
    )


def surest_mistakes(answers: Answers) -> list[int]:
    """Places; at most OF_A_PAIR of one label and answer."""
    kept: list[int] = []
    seen: dict[tuple[int, int], int] = {}
    for place in np.argsort(-answers.confidence, kind="stable"):
        pair = int(answers.labels[place]), int(answers.predicted[place])
        if answers.wrong[place] and seen.get(pair, 0) < OF_A_PAIR and len(kept) < MISTAKES:
            seen[pair] = seen.get(pair, 0) + 1
            kept.append(int(place))
    return kept


def typical_hits(answers: Answers) -> list[int]:
    """Of classes spread over the list, the hit with the middle confidence."""
    hits = answers.predicted == answers.labels
    known = np.unique(answers.labels[hits])
    chosen = known[np.linspace(0, len(known) - 1, min(HITS, len(known))).round().astype(int)] if len(known) else known
    return [_middle(answers, np.flatnonzero(hits & (answers.labels == label))) for label in chosen]


def _middle(answers: Answers, places: "np.typing.NDArray[np.intp]") -> int:
    return int(places[np.argsort(answers.confidence[places], kind="stable")[len(places) // 2]])


def _grid(facts: Facts, pictures: Pictures, places: list[int]) -> Html | None:
    figures = [figure for place in places if (figure := _figure(facts, pictures, place))]
    return tag("div", figures, class_="gallery") if figures else None


def _figure(facts: Facts, pictures: Pictures, place: int) -> Html | None:
    answers = facts.answers
    assert answers is not None
    label, said = (title_of(facts.classes[one[place]]) for one in (answers.labels, answers.predicted))
    image = pictures.photo(answers.paths[place], f"A photo of {label}")
    if image is None:
        return None
    sure = percent(answers.confidence[place])
    if answers.labels[place] == answers.predicted[place]:
        words: list[Child] = [tag("b", label), tag("span", sure, class_="sure")]
    else:
        right = answers.of_label(place)
        words = [
            tag("span", "said ", class_="soft"),
            tag("b", said),
            tag("span", sure, class_="sure"),
            tag("br"),
            tag("span", "is ", class_="soft"),
            tag("b", label),
            tag("span", percent(right), class_="sure") if right is not None else None,
        ]
    return tag("figure", image, tag("figcaption", words), title=answers.paths[place])


def _looks(facts: Facts, pictures: Pictures, mistakes: list[int], hits: list[int]) -> Html | None:
    """Grad-CAM of mistakes, for what was said and for what is right, and of hits."""
    answers = facts.answers
    if answers is None or not (facts.path / "best" / "model.safetensors").is_file():
        return None
    wrong = [place for place in mistakes if answers.paths[place] in pictures.found][: LOOKS // 2]
    right = [place for place in hits if answers.paths[place] in pictures.found][: LOOKS - len(wrong)]
    asked = [(place, int(one[place])) for place in wrong for one in (answers.predicted, answers.labels)]
    asked += [(place, int(answers.labels[place])) for place in right]
    if not asked:
        return None
    paths = [answers.paths[place] for place, _ in asked]
    heats = attention(facts.path, pictures.folder, paths, [label for _, label in asked])
    figures = [
        _look(
            facts,
            pictures,
            place,
            [(label, heat) for (at, label), heat in zip(asked, heats, strict=True) if at == place],
        )
        for place in wrong + right
    ]
    pixels, parts = places(facts.path)
    coarse = f"Coarse: of {pixels} by {pixels} pixels this network keeps {parts} by {parts} places to tell apart. "
    text = (coarse if parts < COARSE else "") + (
        "Bright places speak for the class named below (Grad-CAM): of a mistake for the answer, then for what is "
        "right. Heat beside the leaf is a reason to distrust an accuracy."
    )
    title = tag("h3", "Where the network looked")
    return tag("div", title, tag("p", text, class_="soft"), tag("div", figures, class_="looks"))


def _look(facts: Facts, pictures: Pictures, place: int, heats: list[tuple[int, Picture]]) -> Html:
    answers = facts.answers
    assert answers is not None
    right = int(answers.labels[place])
    shown = [(pictures.photo(answers.paths[place], f"A photo of {title_of(facts.classes[right])}"), "the photo")]
    for label, heat in heats:
        title = title_of(facts.classes[label])
        shown.append(
            (picture(heat, f"What speaks for {title}"), f"for {title}" + (", right" if label == right else ""))
        )
    parts = [tag("div", image, tag("span", text, class_="of")) for image, text in shown]
    return tag("div", parts, title=answers.paths[place])
