"""Photos: the mistakes of which the model was surest, hits as they usually are, and where the network looked."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from leafdist.pages.pictures import Picture, Pictures, picture
from leafdist.pages.words import title_of
from leafdist.report.attention import attention
from leafdist.report.contents import Answers, Contents

MISTAKES, HITS, LOOKS = 18, 12, 8
COARSE = 5  # positions per side below which a map tells little
OF_A_PAIR = 3  # most of one kind of mistake, so that others are seen too


@dataclass(frozen=True)
class Shown:
    """A photo with its label and the answer, None where that is right; probabilities from 0 to 1."""

    picture: Picture
    label: str
    said: str | None
    confidence: float
    of_label: float | None


@dataclass(frozen=True)
class Look:
    """A photo, and what speaks for some classes in it, each with words."""

    path: str
    pictures: list[tuple[Picture, str]]


@dataclass(frozen=True)
class Gallery:
    """wrong: how many mistakes were to be shown; pixels, positions: per side, what the network sees and keeps."""

    mistakes: list[Shown]
    wrong: int
    hits: list[Shown]
    looks: list[Look]
    pixels: int
    positions: int

    @property
    def coarse(self) -> bool:
        """Whether the network's last maps are too small to tell much."""
        return self.positions < COARSE


def gallery(contents: Contents, pictures: Pictures) -> Gallery | None:
    """Choose the photos; None where they or the predictions are not there."""
    answers = contents.answers
    if answers is None or not pictures.folder.is_dir():
        return None
    mistakes, hits = surest_mistakes(answers), typical_hits(answers)
    pixels = contents.record.config.data.side
    shown = [[_shown(contents.classes, answers, pictures, row) for row in rows] for rows in (mistakes, hits)]
    wrong, right = ([one for one in some if one] for some in shown)
    looks = _looks(contents, answers, pictures, mistakes, hits)
    return Gallery(wrong, len(mistakes), right, looks, pixels, contents.network.map_side(pixels))


def surest_mistakes(answers: Answers) -> list[int]:
    """Rows of the surest mistakes; at most OF_A_PAIR of one label and answer."""
    kept: list[int] = []
    seen: Counter[tuple[int, int]] = Counter()
    for row in np.argsort(-answers.confidence, kind="stable"):
        pair = int(answers.labels[row]), int(answers.predicted[row])
        if answers.wrong[row] and seen[pair] < OF_A_PAIR and len(kept) < MISTAKES:
            seen[pair] += 1
            kept.append(int(row))
    return kept


def typical_hits(answers: Answers) -> list[int]:
    """Rows of hits with the middle confidence, of classes spread over the list."""
    hits = answers.predicted == answers.labels
    known = np.unique(answers.labels[hits])
    chosen = known[np.linspace(0, len(known) - 1, min(HITS, len(known))).round().astype(int)] if len(known) else known
    rows = [answers.rows_of(label, label)[::-1] for label in chosen]
    return [of_class[len(of_class) // 2] for of_class in rows]


def _shown(classes: list[str], answers: Answers, pictures: Pictures, row: int) -> Shown | None:
    label, said = answers.labels[row], answers.predicted[row]
    title = title_of(classes[label])
    found = pictures.photo(answers.paths[row], f"A photo of {title}")
    if found is None:
        return None
    confidence = float(answers.confidence[row])
    if label == said:
        return Shown(found, title, None, confidence, None)
    return Shown(found, title, title_of(classes[said]), confidence, answers.probability_of_label(row))


def _looks(
    contents: Contents, answers: Answers, pictures: Pictures, mistakes: list[int], hits: list[int]
) -> list[Look]:
    """Grad-CAM of mistakes, for what was said and for what is right, and of hits."""
    if not contents.layout.best_model.is_file():
        return []
    wrong = [row for row in mistakes if answers.paths[row] in pictures.found][: LOOKS // 2]
    right = [row for row in hits if answers.paths[row] in pictures.found][: LOOKS - len(wrong)]
    asked = [(row, int(classes[row])) for row in wrong for classes in (answers.predicted, answers.labels)]
    asked += [(row, int(answers.labels[row])) for row in right]
    if not asked:
        return []
    paths = [answers.paths[row] for row, _ in asked]
    heats = attention(contents.path, pictures.folder, paths, [label for _, label in asked])
    looks = {row: Look(answers.paths[row], []) for row in wrong + right}
    for row, look in looks.items():
        photo = pictures.photo(look.path, f"A photo of {title_of(contents.classes[answers.labels[row]])}")
        assert photo is not None, "it was shown above"
        look.pictures.append((photo, "the photo"))
    for (row, label), heat in zip(asked, heats, strict=True):
        title = title_of(contents.classes[label])
        words = f"for {title}, right" if label == answers.labels[row] else f"for {title}"
        looks[row].pictures.append((picture(heat, f"What speaks for {title}"), words))
    return list(looks.values())
