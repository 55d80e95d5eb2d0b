"""The confusion matrix as a grid to walk through, and the pairs that are confused most."""

import json
from collections.abc import Sequence

import numpy as np

from leafdist.pages.html import Child, Html, tag
from leafdist.pages.pictures import Pictures
from leafdist.pages.words import THIN, count, crop_of, data, disease_of, many, percent, title_of
from leafdist.report.contents import Facts

LISTED = 12  # photos of a cell that the page names
LISTED_IN_ALL = 4000
PAIRS = 10
KEY = (1, 5, 25, 50, 100)  # percent of a row
PAIR_PHOTOS = 4
ORDERS = (("class", "By class"), ("crop", "Worst crop first"), ("errors", "Worst class first"))


def matrix(facts: Facts, pictures: Pictures) -> Html | None:
    """The confusion matrix, to be used by mouse, keyboard and screen reader."""
    result = facts.evaluation
    if not result:
        return None
    help_ = (
        "A row holds the photos of a class, a column those called so. Grey on the diagonal is right, colour beside it "
        "is wrong, stronger for a larger share of the row."
    )
    keys = " Tap or click a cell for its photos, or walk with the arrow keys and press Enter."
    return tag(
        "section",
        tag("h2", "Confusion", id="confusion"),
        tag("p", help_, tag("span", keys, class_="screen"), class_="soft"),
        _key(),
        _tools(),
        tag("p", class_="readout", id="readout", aria_hidden="true"),
        tag("div", _grid(list(result["classes"]), result["confusion"], facts), class_="matrix", id="matrix"),
        tag("div", class_="selection", id="selection", aria_live="polite", role="region", aria_label="Selected cell"),
        _pairs(facts, pictures),
        tag("script", _for_script(facts), type="application/json", id="matrix-data"),
    )


def _key() -> Html:
    """What the colours mean, in the cells' own scale."""
    ramps = [
        tag("span", name, [tag("i", class_=kind, style=f"--v:{(share / 100) ** 0.5:.2f}") for share in KEY])
        for name, kind in (("right", "hit"), ("wrong", None))
    ]
    scale = tag("span", f"{', '.join(map(str, KEY))}{THIN}% of a row")
    return tag("p", ramps, scale, class_="colours", aria_hidden="true")


def _tools() -> Html:
    orders = [
        tag("button", text, type="button", data_order=key, aria_pressed="true" if key == "class" else "false")
        for key, text in ORDERS
    ]
    zooms = [
        tag("button", text, type="button", data_zoom=key, aria_label=spoken)
        for key, text, spoken in (
            ("-1", "−", "smaller cells"),
            ("1", "+", "larger cells"),
            ("0", "Fit", "fit to width"),
        )
    ]
    return tag(
        "div",
        tag("div", tag("span", "Order", class_="label"), orders, role="group", aria_label="Order of the classes"),
        tag("div", tag("span", "Zoom", class_="label"), zooms, role="group", aria_label="Size of the cells"),
        class_="tools",
    )


def _grid(names: Sequence[str], confusion: Sequence[Sequence[int]], facts: Facts) -> Html:
    titles = [title_of(name) for name in names]
    corner = tag("td", tag("span", "label ↓  called →"), class_="corner")
    head = [tag("th", tag("span", title), scope="col", title=title) for title in titles]
    rows = [
        tag("tr", tag("th", tag("span", _short(name)), scope="row", title=title), _cells(label, row), data_class=label)
        for label, (name, title, row) in enumerate(zip(names, titles, confusion, strict=True))
    ]
    return tag(
        "table",
        tag("thead", tag("tr", corner, head)),
        tag("tbody", rows),
        role="grid",
        aria_label=f"Confusion matrix of the {facts.split} photos",
        aria_rowcount=len(names) + 1,
        aria_colcount=len(names) + 1,
        style=f"--n:{len(names)}",
    )


def _short(name: str) -> list[Child]:
    """The crop apart: on a phone it is cut, and the disease is not."""
    crop = crop_of(name)
    return [tag("i", crop), " · ", disease_of(name)] if crop else [disease_of(name)]


def _cells(label: int, row: Sequence[int]) -> list[Html]:
    total = max(sum(row), 1)
    return [_cell(value, value / total, diagonal=label == place) for place, value in enumerate(row)]


def _cell(value: int, share: float, *, diagonal: bool) -> Html:
    """A root scale shows small shares too. mid, deep: where dark and light need the other colour for the number."""
    if not value:
        return tag("td", class_="hit" if diagonal else None)
    level = share**0.5
    kinds = ["hit"] * diagonal + ["mid"] * (level > (0.74 if diagonal else 0.63)) + ["deep"] * (level > 0.84)
    return tag("td", str(value), class_=" ".join(kinds) or None, style=f"--v:{level:.2f}")


def _for_script(facts: Facts) -> Html:
    """What the script needs beyond the cells; `<` is escaped, since a script element has no entities."""
    result = facts.evaluation or {}
    classes = [
        {"title": title_of(name), "crop": crop_of(name), "images": entry["images"], "name": name}
        for name, entry in result["classes"].items()
    ]
    content = {"classes": classes, "photos": _photos(facts), "listed": LISTED}
    return Html(json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


def _photos(facts: Facts) -> dict[str, list[list[str | float]]]:
    """`label,predicted` of a cell to its photos, those of which the model is surest first."""
    answers = facts.answers
    if answers is None:
        return {}
    found: dict[str, list[list[str | float]]] = {}
    order = np.argsort(-answers.confidence, kind="stable")
    listed = 0
    for wrong in (True, False):
        for place in order[(answers.predicted != answers.labels)[order] == wrong]:
            cell = found.setdefault(f"{answers.labels[place]},{answers.predicted[place]}", [])
            if len(cell) < (LISTED if wrong else 4) and listed < LISTED_IN_ALL:
                cell.append([answers.paths[place], round(float(answers.confidence[place]), 4)])
                listed += 1
    return {key: cell for key, cell in found.items() if cell}


def _pairs(facts: Facts, pictures: Pictures) -> Html | None:
    pairs = (facts.evaluation or {}).get("confused", [])[:PAIRS]
    if not pairs:
        return None
    rows = [_pair(facts, pictures, pair["label"], pair["predicted"], pair["images"]) for pair in pairs]
    return tag("div", tag("h3", "Most confused pairs"), tag("ol", rows, class_="pairs"))


def _pair(facts: Facts, pictures: Pictures, label: str, predicted: str, images: int) -> Html:
    total = (facts.evaluation or {})["classes"][label]["images"]
    words = [
        tag("b", title_of(label)),
        tag("span", " called ", class_="soft"),
        tag("b", title_of(predicted)),
        tag("p", data(images, many(images, "photo")), f" of {count(total)}, {percent(images / total)}", class_="soft"),
    ]
    places = (facts.classes.index(one) for one in (label, predicted))
    shown = [facts.answers.paths[at] for at in facts.answers.of_pair(*places)[:PAIR_PHOTOS]] if facts.answers else []
    photos = [image for path in shown if (image := pictures.photo(path, f"A photo of {title_of(label)}"))]
    return tag("li", tag("div", words), tag("div", photos, class_="strip") if photos else None)
