"""Two runs side by side: figures, curves over each other, what one gets right and the other wrong, what was set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from leafdist.compare.answers import names_of
from leafdist.compare.compare import Comparison, compare, settings_that_differ
from leafdist.compare.pair import Pair, Photo
from leafdist.pages.pictures import Picture, Pictures
from leafdist.pages.render import Section, render_page
from leafdist.pages.words import THIN, points, title_of
from leafdist.report.contents import Contents
from leafdist.report.curves import Curve, charts
from leafdist.system.plain import to_plain

SHOWN = 12  # photos per side
Both = tuple[Contents, Contents]


@dataclass(frozen=True)
class Side:
    """Photos that one run alone gets right, with those that can be shown."""

    name: str
    photos: int
    shown: list[tuple[Photo, Picture]]


def double(both: Both) -> str:
    """The whole page of two runs side by side, as HTML."""
    names = names_of([one.record for one in both])
    comparison, reason = _comparison(both)
    if comparison:  # one run's own test can be `test@<folder>` of the other
        first, second = (one.evaluation.split for one in comparison.answers)
        both = Contents(both[0].path, split=first), Contents(both[1].path, split=second)
    pair = comparison.pairs[0] if comparison else None
    results = {"names": names, "both": both, "pair": pair, "verdict": _verdict(pair) if pair else reason}
    results |= {"remarks": comparison.remarks() if comparison else []}
    sections = [
        Section("results", "Results", "two_runs/results.html", results),
        Section("learning", "Learning", "two_runs/learning.html", _learning(both, names)),
        Section("classes", "Classes", "two_runs/classes.html", pair),
        Section("photos", "Photos", "two_runs/photos.html", _photos(both, pair) if pair else None),
        Section("configuration", "Configuration", "two_runs/settings.html", (names, _differences(both))),
    ]
    below = " and ".join(f"{one.network.title}, {one.record.state}" for one in both)
    return render_page(" and ".join(names), below, "", sections)


def calibrated(both: Both, pair: Pair) -> list[Photo]:
    """The photos that only one run gets right, with each run's confidence as on its page; surest mistakes first."""
    answers = {name: one.answers for name, one in zip((pair.first, pair.second), both, strict=True)}
    known = {
        name: dict(zip(found.paths, found.confidence.tolist(), strict=True)) if found else {}
        for name, found in answers.items()
    }
    photos = [
        replace(
            one,
            confidence=known[one.wrong].get(one.path, one.confidence),
            right_confidence=known[one.right].get(one.path, one.right_confidence),
        )
        for one in pair.photos
    ]
    return sorted(photos, key=lambda one: -one.confidence)


def _comparison(both: Both) -> tuple[Comparison | None, str]:
    """The comparison, or why the answers cannot be compared photo by photo."""
    first, second = both
    if not first.evaluation or not second.evaluation:
        return None, "The runs are not both evaluated: run python evaluate.py on both."
    try:
        return compare([first.path, second.path], first.split), ""
    except ValueError as error:
        return None, f"The answers cannot be compared photo by photo: {error}"


def _verdict(pair: Pair) -> str:
    """Which is better, how surely."""
    if not pair.difference:
        return "Both are right on equally many photos."
    better, other = (pair.second, pair.first) if pair.difference > 0 else (pair.first, pair.second)
    low, high = sorted(abs(bound) if bound * pair.difference > 0 else -abs(bound) for bound in pair.interval)
    sure = "beyond chance" if pair.beyond_chance else "within chance"
    return (
        f"{better} is right on {points(abs(pair.difference))} percentage points more photos than {other}, "
        f"{sure} (95{THIN}% interval {points(low)} to {points(high)}; McNemar's test by photo, "
        f"p{THIN}={THIN}{pair.p:.2g})."
    )


def _learning(both: Both, names: Sequence[str]) -> object:
    curves = [Curve(f"{name} ", style, one) for name, style, one in zip(names, ("other", "main"), both, strict=True)]
    curves = [curve for curve in curves if curve.contents.record.epochs]
    return charts(curves) if curves else None


def _photos(both: Both, pair: Pair) -> list[Side] | None:
    folder = both[0].folder
    if not folder.is_dir():
        return None
    data, photos = both[0].record.config.data, calibrated(both, pair)
    pictures = Pictures(folder, data.fit, data.max_pixels)
    sides = []
    for name in (pair.second, pair.first):
        right = [photo for photo in photos if photo.right == name]
        shown = [(photo, pictures.photo(photo.path, f"A photo of {title_of(photo.label)}")) for photo in right[:SHOWN]]
        sides.append(Side(name, len(right), [(photo, picture) for photo, picture in shown if picture]))
    return sides


def _differences(both: Both) -> list[tuple[str, object, object]]:
    """The configuration, versions, commits and machines, where they differ."""
    rows = settings_that_differ([one.record for one in both])
    found = [(key, first, second) for key, (first, second) in rows.items() if key != "run.folder"]
    starts = [to_plain(one.record.facts.starts[-1]) if one.record.facts.starts else {} for one in both]
    versions = [start.get("versions", {}) for start in starts]
    for keys, (first, second) in (
        (dict.fromkeys([*versions[0], *versions[1]]), versions),
        (("git_commit", "world_size", "device", "host"), starts),
    ):
        found += [(key, first.get(key), second.get(key)) for key in keys if first.get(key) != second.get(key)]
    return found
