"""Precision, recall and F1 of each class as a table that sorts, and the same by crop."""

from collections.abc import Sequence
from typing import Any

from leafdist.evaluation.intervals import wilson
from leafdist.pages.html import Html, tag
from leafdist.pages.words import count, crop_of, data, disease_of, interval, percent, plain
from leafdist.report.contents import Facts

HEAD = ("Precision", "Recall", "F1")


def classes(facts: Facts) -> Html | None:
    """Precision, recall and F1 of each class, sortable."""
    result = facts.evaluation
    if not result:
        return None
    trained = facts.training_photos
    head = ["Class", f"{facts.split.capitalize()} photos", *HEAD, *(["Training photos"] if trained else [])]
    rows = [_row(name, entry, trained) for name, entry in result["classes"].items()]
    return tag(
        "section",
        tag("h2", "Classes", id="classes"),
        tag(
            "p",
            "The line across the end of a recall is its 95 % interval.",
            tag("span", " Click a heading to sort.", class_="screen"),
            class_="soft",
        ),
        tag("div", _sortable("Figures of each class", head, rows), class_="scroll"),
        _crops(result.get("crops") or {}),
    )


def _sortable(name: str, head: Sequence[str], rows: Sequence[Html]) -> Html:
    cells = [tag("th", tag("button", text, type="button"), scope="col", aria_sort="none") for text in head]
    caption = tag("caption", name, class_="unseen")
    return tag("table", caption, tag("thead", tag("tr", cells)), tag("tbody", rows), class_="sortable")


def _row(name: str, entry: dict[str, Any], trained: dict[str, int]) -> Html:
    crop = crop_of(name)
    title = tag("th", tag("span", f"{crop} ", class_="crop") if crop else None, disease_of(name), scope="row")
    recall = _bar(entry["recall"], wilson(round(entry["recall"] * entry["images"]), entry["images"]))
    cells = [_plain(entry["images"]), _bar(entry["precision"]), recall, _bar(entry["f1"])]
    return tag("tr", title, cells, _plain(trained.get(name, 0)) if trained else None, data_name=name)


def _plain(value: int) -> Html:
    return tag("td", data(value, count(value)), data_sort=value)


def _bar(share: float, bounds: Sequence[float] | None = None) -> Html:
    """The number, a bar below it, and on the bar the 95 % interval where there is one."""
    whisker = (
        tag("i", style=f"left:{100 * bounds[0]:.1f}%;width:{100 * (bounds[1] - bounds[0]):.1f}%") if bounds else None
    )
    bar = tag("span", tag("b", style=f"width:{100 * share:.1f}%"), whisker, class_="bar", aria_hidden="true")
    title = f"{interval(bounds)} with 95 % confidence" if bounds else None
    return tag("td", tag("span", data(share, percent(share)), bar, class_="measure"), data_sort=share, title=title)


def _crops(crops: dict[str, dict[str, Any]]) -> Html | None:
    if len(crops) < 2:
        return None
    rows = [
        tag(
            "tr",
            tag("th", plain(crop), scope="row"),
            _plain(entry["images"]),
            _bar(entry["accuracy"]),
            _bar(entry["crop_correct"] / max(entry["images"], 1)),
        )
        for crop, entry in crops.items()
    ]
    table = _sortable("Figures of each crop", ("Crop", "Photos", "Right class", "Right crop"), rows)
    return tag("div", tag("h3", "By crop"), tag("div", table, class_="scroll"))
