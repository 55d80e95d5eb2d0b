"""The data: where it lay, how it was split, what was set aside, and what the audit said."""

from collections.abc import Iterator
from typing import Any

from leafdist.pages.html import Child, Html, tag
from leafdist.pages.words import count, data, many
from leafdist.report.contents import Facts

DIGITS = 16  # of a digest: enough to compare by eye, the whole one is in the title


def data_card(facts: Facts) -> Html:
    """Which photos these were, with digests."""
    result = facts.evaluation or {}
    known: dict[str, Any] = facts.record.run.get("data", {})
    splits = [(split, facts.photos(split), (known.get(split) or {}).get("digest")) for split in ("train", "val")]
    if result and facts.split == "test":
        splits.append(("test", result["images"], result.get("data")))
    rows: list[tuple[str, Child]] = [("Photos lie in", tag("code", str(facts.root)))]
    if str(facts.root) != facts.record.config.data.root:
        rows.append(("Trained from", tag("code", facts.record.config.data.root)))
    rows.append(("Leaves kept apart", str(result.get("leaf_disjoint", "not known before the evaluation"))))
    rows.append(("Split digest", digest(result.get("split_digest"))))
    rows.append(("Set aside", many(len(facts.set_aside), "photo") if facts.set_aside else "no photo"))
    return tag(
        "section",
        tag("h2", "Data", id="data"),
        tag("div", pairs(rows), _splits(splits), class_="halves"),
        _aside(facts.set_aside),
        [*_audit(facts)],
    )


def pairs(rows: list[tuple[str, Child]]) -> Html:
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows], class_="facts")


def digest(value: object) -> Child:
    return tag("code", str(value)[:DIGITS], title=str(value)) if value else "none"


def _splits(splits: list[tuple[str, int, object]]) -> Html:
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in ("Split", "Photos", "Digest")]))
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", data(photos, count(photos))), tag("td", digest(value)))
        for name, photos, value in splits
    ]
    caption = tag("caption", "Photos of each split", class_="unseen")
    return tag("div", tag("table", caption, head, tag("tbody", rows), class_="plain"), class_="scroll")


def _aside(rows: list[dict[str, str]]) -> Html | None:
    if not rows:
        return None
    items = [tag("li", tag("code", f"{row['split']}/{row['path']}"), f": {row['reason']}") for row in rows[:50]]
    more = tag("li", f"and {len(rows) - 50} more in set-aside.json") if len(rows) > 50 else None
    return tag("details", tag("summary", many(len(rows), "photo"), " set aside"), tag("ul", items, more))


def _audit(facts: Facts) -> Iterator[Html]:
    """The verdict, and how much was found."""
    yield tag("h3", "Audit")
    report = facts.audit
    if report is None:
        command = tag("code", f"leafdist audit {facts.root} --json {facts.path / 'audit.json'}")
        yield tag(
            "p", "No audit lies beside the run or the data. ", command, " brings it into this report.", class_="soft"
        )
        return
    yield tag("ul", [tag("li", line) for line in report.get("verdict", [])])
    found = [(one["level"], one["kind"], one["text"]) for one in report.get("findings", [])]
    items = [tag("li", tag("b", f"{level}: {kind}. "), text) for level, kind, text in found]
    if items:
        yield tag("details", tag("summary", many(len(items), "finding")), tag("ul", items))
