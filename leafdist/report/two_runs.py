"""Two runs side by side: figures, curves over each other, what one gets right and the other wrong, what was set."""

from collections.abc import Callable, Sequence
from typing import Any

from leafdist.compare.compare import Comparison, compare
from leafdist.compare.pair import Pair, Photo
from leafdist.config.networks import network
from leafdist.config.schema import KEYS, flatten, to_dict
from leafdist.pages.html import Child, Html, tag
from leafdist.pages.pictures import Pictures
from leafdist.pages.words import THIN, count, data, duration, interval, many, number, percent, title_of
from leafdist.report.contents import Facts
from leafdist.report.curves import charts
from leafdist.report.page import Part, page

SHOWN = 12  # photos a side
Both = tuple[Facts, Facts]


def double(both: Both) -> str:
    """The whole page of two runs, side by side."""
    names = _names(both)
    comparison, reason = _comparison(both)
    parts: list[Part] = [
        ("results", "Results", _results(both, names, comparison, reason)),
        ("learning", "Learning", _learning(both, names)),
        ("classes", "Classes", _classes(comparison.pairs[0]) if comparison else None),
        ("photos", "Photos", _photos(both, comparison.pairs[0]) if comparison else None),
        ("configuration", "Configuration", _settings(both, names)),
    ]
    below = " and ".join(f"{network(facts.record.config.model.name).title}, {facts.record.state}" for facts in both)
    return page(f"{names[0]} and {names[1]}", below, [], parts)


def _names(both: Both) -> list[str]:
    """Of their folders; with the folder above where these are the same."""
    short = [facts.record.name for facts in both]
    return (
        short if short[0] != short[1] else [f"{facts.path.resolve().parent.name}/{facts.record.name}" for facts in both]
    )


def _comparison(both: Both) -> tuple[Comparison | None, str]:
    """Or why the answers cannot be compared photo by photo."""
    splits = [facts.split for facts in both]
    if splits[0] != splits[1] or not all(facts.evaluation for facts in both):
        return None, "The runs are not evaluated on one split: run python evaluate.py on both."
    try:
        return compare([facts.path for facts in both], splits[0]), ""
    except ValueError as error:
        return None, f"The answers cannot be compared photo by photo: {error}"


def _results(both: Both, names: Sequence[str], comparison: Comparison | None, reason: str) -> Html:
    columns = [_figures(facts) for facts in both]
    keys = list(dict.fromkeys(key for column in columns for key in column))
    head = tag("thead", tag("tr", tag("td"), [tag("th", name, scope="col") for name in names]))
    rows = [
        tag("tr", tag("th", key, scope="row"), [tag("td", column.get(key, "–")) for column in columns]) for key in keys
    ]
    table = tag(
        "table", tag("caption", "Figures of both runs", class_="unseen"), head, tag("tbody", rows), class_="sides"
    )
    verdict = _verdict(comparison.pairs[0]) if comparison else tag("p", reason, class_="meaning")
    remarks = [tag("li", line) for line in comparison.remarks()] if comparison else []
    below = tag("ul", remarks, class_="soft remarks") if remarks else None
    return tag("section", tag("h2", "Results", id="results"), tag("div", table, class_="scroll"), verdict, below)


def _figures(facts: Facts) -> dict[str, Child]:
    """What is known of a run, in the order of the table."""
    found: dict[str, Child] = {}
    result: dict[str, Any] = facts.evaluation or {}
    if result:
        bounds = result.get("interval_by_leaf", result["interval"])
        found[f"{facts.split.capitalize()} accuracy"] = [
            tag("strong", data(result["accuracy"], percent(result["accuracy"], 2), "accuracy")),
            tag("small", f"95{THIN}% interval {interval(bounds, 2)}"),
        ]
        found["Macro F1"] = data(result["macro_f1"], number(result["macro_f1"]), "macro_f1")
        if result.get("healthy"):
            found["Healthy or diseased"] = data(
                result["healthy"]["accuracy"], percent(result["healthy"]["accuracy"], 2)
            )
        key = "ece_calibrated" if facts.calibrated else "ece"
        found["Calibration error"] = data(result["calibration"][key], percent(result["calibration"][key], 2))
        found["Photos"] = data(result["images"], count(result["images"]))
    if facts.meta:
        accuracy = facts.meta["val_accuracy"]
        epoch = f", epoch {facts.meta['epoch'] + 1} of {len(facts.record.epochs)}"
        found["Best validation accuracy"] = [
            data(accuracy, percent(accuracy, 2), "val_accuracy"),
            tag("small", epoch[2:]),
        ]
    return found | _cost(facts)


def _cost(facts: Facts) -> dict[str, Child]:
    record = facts.record
    seconds = sum(float(row["seconds"]) for row in record.epochs)
    found: dict[str, Child] = {"Time of training": data(seconds, duration(seconds))}
    if record.images_per_second:
        found["Images a second"] = data(record.images_per_second, f"{record.images_per_second:.0f}")
    for kind, name in (("cuda", "GPU hours"), ("cpu", "Process hours on CPUs")):
        if kind in record.device_hours:
            found[name] = data(record.device_hours[kind], f"{record.device_hours[kind]:.2f}")
    return found


def _verdict(pair: Pair) -> Html:
    """Which is better, how surely."""
    better, other = (pair.second, pair.first) if pair.difference > 0 else (pair.first, pair.second)
    low, high = sorted(abs(bound) if bound * pair.difference > 0 else -abs(bound) for bound in pair.interval)
    sure = "beyond chance" if pair.p < 0.05 else "which chance alone may do"
    text = (
        f"{better} is right on {_points(abs(pair.difference))} percentage points more photos than {other}, "
        f"{sure} (95{THIN}% interval {_points(low)} to {_points(high)}; McNemar's test by photo, "
        f"p{THIN}={THIN}{pair.p:.2g})."
    )
    if not pair.difference:
        text = "Both are right on equally many photos."
    counts = (
        f" {pair.first} alone gets {many(pair.only_first, 'photo')} right, {pair.second} alone "
        f"{count(pair.only_second)}; both {count(pair.both)}, neither {count(pair.neither)}."
    )
    return tag("p", data(pair.difference, text, "difference"), counts, class_="meaning")


def _points(share: float) -> str:
    return f"{100 * share:.2f}".replace("-", "\N{MINUS SIGN}")


def _learning(both: Both, names: Sequence[str]) -> Html | None:
    runs = [(f"{name} ", style, facts) for name, style, facts in zip(names, ("other", "main"), both, strict=True)]
    runs = [run for run in runs if run[2].record.epochs]
    return tag("section", tag("h2", "Learning", id="learning"), charts(runs)) if runs else None


def _classes(pair: Pair) -> Html:
    head = ["Class", "Photos", pair.first, pair.second, "p, corrected"]
    rows = [
        tag(
            "tr",
            tag("th", title_of(one.name), scope="row"),
            [tag("td", cell) for cell in (count(one.images), percent(one.first), percent(one.second), f"{one.p:.2g}")],
        )
        for one in pair.telling
    ]
    header = tag("thead", tag("tr", [tag("th", name, scope="col") for name in head]))
    table = tag(
        "table", tag("caption", "Classes that differ", class_="unseen"), header, tag("tbody", rows), class_="plain"
    )
    told = "Recall of the classes in which the two differ beyond chance; p is corrected for their number."
    none = f"In none of {len(pair.classes)} classes do the two differ beyond chance, corrected for their number."
    text = tag("p", told if rows else none, class_="soft")
    return tag(
        "section", tag("h2", "Classes", id="classes"), text, tag("div", table, class_="scroll") if rows else None
    )


def _photos(both: Both, pair: Pair) -> Html | None:
    folder = both[0].folder
    if not folder.is_dir():
        return None
    pictures = Pictures(folder, both[0].record.config.data.fit)
    photos = calibrated(both, pair)
    sides = [_side(pictures, [one for one in photos if one.right == name], name) for name in (pair.second, pair.first)]
    return tag("section", tag("h2", "Photos", id="photos"), sides)


def calibrated(both: Both, pair: Pair) -> list[Photo]:
    """The photos that part the two, with the confidences that the page of each run shows, surest mistakes first."""
    known = {
        name: dict(zip(facts.answers.paths, facts.answers.confidence.tolist(), strict=True)) if facts.answers else {}
        for name, facts in zip((pair.first, pair.second), both, strict=True)
    }
    photos = [
        one._replace(
            confidence=known[one.wrong].get(one.path, one.confidence),
            right_confidence=known[one.right].get(one.path, one.right_confidence),
        )
        for one in pair.photos
    ]
    return sorted(photos, key=lambda one: -one.confidence)


def _side(pictures: Pictures, photos: Sequence[Photo], name: str) -> list[Child]:
    """The other run's surest mistakes among them."""
    figures = []
    for one in photos[:SHOWN]:
        image = pictures.photo(one.path, f"A photo of {title_of(one.label)}")
        said = title_of(one.predicted) if one.predicted else "nothing"
        words = [
            tag("span", f"{one.right} said ", class_="soft"), tag("b", title_of(one.label)),
            tag("span", percent(one.right_confidence), class_="sure"), tag("br"),
            tag("span", f"{one.wrong} said ", class_="soft"), tag("b", said),
            tag("span", percent(one.confidence), class_="sure"),
        ]  # fmt: skip
        figures += [tag("figure", image, tag("figcaption", words), title=one.path)] if image else []
    shown = f", {len(figures)} shown" if len(figures) < len(photos) else ""
    title = tag("h3", f"Right only with {name}: {many(len(photos), 'photo')}{shown}")
    return [title, tag("div", figures, class_="gallery")]


def _settings(both: Both, names: Sequence[str]) -> Html:
    """The configuration, versions and commits, where they differ."""
    settings = [flatten(to_dict(facts.record.config)) for facts in both]
    rows = _different(KEYS, lambda key, side: settings[side][key])
    last: list[dict[str, Any]] = [(facts.record.starts or [{}])[-1] for facts in both]
    versions: list[dict[str, Any]] = [start.get("versions", {}) for start in last]
    rows += _different({**versions[0], **versions[1]}, lambda key, side: versions[side].get(key))
    rows += _different(("git_commit", "world_size", "device", "host"), lambda key, side: last[side].get(key))
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in ("What differs", *names)]))
    table = tag(
        "table", tag("caption", "What differs", class_="unseen"), head, tag("tbody", rows), class_="plain words"
    )
    return tag("section", tag("h2", "Configuration", id="configuration"), tag("div", table, class_="scroll"))


def _different(keys: Any, value: Callable[[str, int], object]) -> list[Html]:
    return [
        tag("tr", tag("th", key, scope="row"), [tag("td", tag("code", str(value(key, side)))) for side in (0, 1)])
        for key in keys
        if value(key, 0) != value(key, 1) and key not in ("run.name", "run.folder")
    ]
