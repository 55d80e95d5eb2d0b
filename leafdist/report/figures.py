"""The figures that a reader looks for first, each with its 95 % interval, and what they can mean."""

from collections.abc import Iterator, Sequence
from typing import Any

from leafdist.evaluation.intervals import wilson
from leafdist.evaluation.scores import is_healthy
from leafdist.pages.html import Child, Html, tag
from leafdist.pages.words import THIN, count, data, interval, many, number, percent
from leafdist.report.contents import Facts

MANY = 2000  # photos from which on a second digit says something

MEANING = {
    "yes": "Leaves of {split} photos were never seen in training, where their ids are known; they come from the same "
    "source and stand before the same background, so photos from elsewhere may do worse.",
    "by likeness": "Photos that look alike were kept on one side, so {split} leaves are likely new to the model; they "
    "come from the same source, and photos from elsewhere may do worse.",
    "no": "The split did not keep photos of one leaf together, so others of the same leaves were likely trained on: "
    "this tells how well the model knows leaves it has met, and new ones may do worse. A split by leaf tells how much.",
    "unknown": "Whether other photos of the same leaves were trained on is not known: "
    "on new leaves the model may do worse. A split by leaf tells how much.",
}
SPLIT = "leafdist split RAW DEST --groups FILE"


def headline(facts: Facts) -> Html:
    """The figures that a reader wants first."""
    figures = [*_evaluated(facts), _best(facts)] if facts.evaluation else [_best(facts)]
    order = sorted((figure for figure in figures if figure), key=lambda figure: 'class="hero"' not in figure)
    return tag(
        "section",
        tag("h2", "Results", class_="unseen"),
        tag("dl", order, class_="figures"),
        meaning(facts),
        _elsewhere(facts),
    )


def meaning(facts: Facts) -> Html | None:
    """One plain sentence on what the accuracy can mean."""
    if not facts.evaluation:
        return None
    told = str(facts.evaluation.get("leaf_disjoint", "unknown"))
    key = next((key for key in MEANING if told.startswith(key)), "unknown")
    way_out = [" ", tag("code", SPLIT)] if key in ("no", "unknown") else None
    return tag("p", MEANING[key].format(split=facts.split), way_out, class_="meaning")


def _elsewhere(facts: Facts) -> Html | None:
    """Photos from other sources: the honest test."""
    if not facts.elsewhere:
        return None
    rows = [
        tag("tr", tag("th", tag("code", found["elsewhere"]), scope="row"), [tag("td", cell) for cell in _other(found)])
        for found in facts.elsewhere.values()
    ]
    names = ("Other photos", "Photos", "Accuracy", f"95{THIN}% interval", "Macro F1")
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    return tag("div", tag("table", head, tag("tbody", rows), class_="plain"), class_="scroll elsewhere")


def _other(found: dict[str, Any]) -> list[Child]:
    accuracy, f1 = found["accuracy"], found["macro_f1"]
    bounds = interval(found.get("interval_by_leaf", found["interval"]))
    return [count(found["images"]), data(accuracy, percent(accuracy)), bounds, data(f1, number(f1))]


def _figure(name: str, value: Child, *notes: Child, hero: bool = False) -> Html:
    details = [tag("dd", note, class_="note") for note in notes if note]
    return tag("div", tag("dt", name), tag("dd", value, class_="value"), details, class_="hero" if hero else None)


def _evaluated(facts: Facts) -> Iterator[Html]:
    result: dict[str, Any] = facts.evaluation or {}
    digits = 2 if result["images"] >= MANY else 1
    kind = "interval_by_leaf" if "interval_by_leaf" in result else "interval"
    yield _figure(
        f"{facts.split.capitalize()} accuracy",
        data(result["accuracy"], percent(result["accuracy"], digits), "accuracy"),
        _between(result[kind], digits, " by leaf" if kind != "interval" else ""),
        f"{count(result['correct'])} of {many(result['images'], 'photo')}" + _unreadable(result) + _views(result),
        hero=True,
    )
    yield _macro_f1(facts, result)
    yield from _calibration(facts, result)
    yield from _healthy(result)


def _between(bounds: Sequence[float], digits: int = 1, kind: str = "") -> list[Child]:
    return [f"95{THIN}% interval{kind} ", tag("span", interval(bounds, digits), class_="range")]


def _by_photo(result: dict[str, Any]) -> str:
    """Said of an interval that stands beside one by leaf: it is narrower than it should be."""
    return " by photo" if "interval_by_leaf" in result else ""


def _views(result: dict[str, Any]) -> str:
    return "; mean of four views of a photo (--tta)" if result.get("tta") else ""


def _unreadable(result: dict[str, Any]) -> str:
    return f"; {result['unreadable']} unreadable ones counted as wrong" if result.get("unreadable") else ""


def _macro_f1(facts: Facts, result: dict[str, Any]) -> Html:
    bounds = facts.macro_f1_interval
    present = sum(entry["images"] > 0 for entry in result["classes"].values())
    range_ = tag("span", f"{number(bounds[0])} – {number(bounds[1])}", class_="range") if bounds else None
    return _figure(
        "Macro F1",
        data(result["macro_f1"], number(result["macro_f1"]), "macro_f1"),
        [f"95{THIN}% interval{_by_photo(result)} ", range_] if range_ else None,
        f"mean of {many(present, 'class', 'classes')}, each counting the same",
    )


def _best(facts: Facts) -> Html:
    meta = facts.meta
    photos = facts.photos("val")
    accuracy = meta["val_accuracy"]
    return _figure(
        "Best validation accuracy",
        data(accuracy, percent(accuracy), "val_accuracy"),
        _between(wilson(round(accuracy * photos), photos)) if photos else None,
        f"epoch {meta['epoch'] + 1} of {len(facts.record.epochs)}",
        hero=facts.evaluation is None,
    )


def _calibration(facts: Facts, result: dict[str, Any]) -> Iterator[Html]:
    found = result.get("calibration")
    if not found:
        return
    before = f"{percent(found['ece'])} before"
    if not facts.calibrated:
        yield _figure("Calibration error", data(found["ece"], percent(found["ece"]), "ece"), "not calibrated")
        return
    single = ", from single views" if result.get("tta") else ""
    yield _figure(
        "Calibration error",
        data(found["ece_calibrated"], percent(found["ece_calibrated"]), "ece_calibrated"),
        "mean gap between confidence and accuracy",
        f"{before} it was calibrated on {found['fitted_on']}{single}",
    )


def _healthy(result: dict[str, Any]) -> Iterator[Html]:
    found = result.get("healthy")
    if not found:
        return
    healthy = sum(entry["images"] for name, entry in result["classes"].items() if is_healthy(name))
    missed = f"{count(found['missed'])} of {many(found['images'] - healthy, 'photo')} of diseased leaves called healthy"
    yield _figure(
        "Healthy or diseased",
        data(found["accuracy"], percent(found["accuracy"]), "healthy"),
        _between(found["interval"], kind=_by_photo(result)),
        f"{missed}, {count(found['false_alarms'])} of {count(healthy)} of healthy ones called diseased",
    )
