"""Photos: the mistakes of which the model was surest, hits as they usually are, and where the network looked."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from leafdist.pages.pictures import Picture, Pictures, picture
from leafdist.pages.words import title_of
from leafdist.report.attention import attention
from leafdist.report.contents import Answers, Contents

MISTAKES, HITS, LOOKS = 18, 12, 8
OF_A_PAIR = 3  # most of one kind of mistake, so that others are seen too


@dataclass(frozen=True)
class Look:
    """A photo, and what speaks for some classes in it, each with words."""

    path: str
    pictures: list[tuple[Picture, str]]


@dataclass(frozen=True)
class Gallery:
    """mistakes, hits: rows of the answers; pictures: by row, of those that can be shown."""

    contents: Contents
    mistakes: list[int]
    hits: list[int]
    pictures: dict[int, Picture]
    looks: list[Look]


def gallery(contents: Contents, pictures: Pictures) -> Gallery | None:
    """Choose the photos; None where they or the predictions are not there."""
    answers = contents.answers
    if answers is None or not pictures.folder.is_dir():
        return None
    mistakes, hits = surest_mistakes(answers), typical_hits(answers)
    titles = [title_of(name) for name in contents.classes]
    shown = {
        row: pictures.photo(answers.paths[row], f"A photo of {titles[answers.labels[row]]}") for row in mistakes + hits
    }
    found = {row: picture for row, picture in shown.items() if picture}
    return Gallery(contents, mistakes, hits, found, _looks(contents, answers, found, mistakes, hits))


def surest_mistakes(answers: Answers) -> list[int]:
    """Rows of the surest mistakes; at most OF_A_PAIR of one label and answer."""
    kept: list[int] = []
    seen: Counter[tuple[int, int]] = Counter()
    surest = np.argsort(-answers.confidence, kind="stable")
    for row in surest[answers.wrong[surest]]:
        pair = int(answers.labels[row]), int(answers.predicted[row])
        if seen[pair] < OF_A_PAIR and len(kept) < MISTAKES:
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


def _looks(
    contents: Contents, answers: Answers, pictures: dict[int, Picture], mistakes: list[int], hits: list[int]
) -> list[Look]:
    """Grad-CAM of mistakes, for what was said and for what is right, and of hits."""
    if not contents.layout.best_model.is_file() or not contents.network.last_map:
        return []
    wrong = [row for row in mistakes if row in pictures][: LOOKS // 2]
    right = [row for row in hits if row in pictures][: LOOKS - len(wrong)]
    asked = [(row, int(classes[row])) for row in wrong for classes in (answers.predicted, answers.labels)]
    asked += [(row, int(answers.labels[row])) for row in right]
    if not asked:
        return []
    paths = [answers.paths[row] for row, _ in asked]
    heats = attention(contents.path, contents.folder, paths, [label for _, label in asked])
    looks = {row: Look(answers.paths[row], [(pictures[row], "the photo")]) for row in wrong + right}
    for (row, label), (heat, any_heat) in zip(asked, heats, strict=True):
        title = title_of(contents.classes[label])
        words = f"for {title}" + (", right" if label == answers.labels[row] else "")
        words += "" if any_heat else ": no heat, no part of the photo speaks for it"
        looks[row].pictures.append((picture(heat, f"What speaks for {title}"), words))
    return list(looks.values())
