"""What a labels.tsv says of the photos of an audit, and which of its rows nobody obeys."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from leafdist.data.labels import LabelRow
from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.folder_listing import Photo

Decided = Mapping[int, str]  # photo to its class as decided, empty for one that is kept as it is or dropped


def decide(
    photos: Sequence[Photo], classes: set[str], file: Path, rows: Sequence[LabelRow]
) -> tuple[Decided, list[Finding]]:
    """Return what was decided of photos, by their number, and findings of the rows that count and that do not."""
    at = defaultdict(list)
    for number, photo in enumerate(photos):
        at[f"{photo.label}/{photo.file}"].append(number)
    decided: dict[int, str] = {}
    obeyed: list[tuple[str, str]] = []
    ignored: list[tuple[str, str]] = []
    for row in rows:
        found = [number for number in at[row.photo] if row.split in ("", photos[number].split)]
        if reason := _fault(row, [photos[number] for number in found], classes):
            ignored.append((row.photo, reason))
        elif found[0] in decided:
            ignored.append((row.photo, "an earlier row is of the same photo"))
        else:
            decided[found[0]] = row.target
            obeyed.append((photos[found[0]].path, f"move to {row.target}" if row.target else row.action))
    honoured = f"{len(obeyed)} rows of {file} count: `leafdist split --labels` and training do what they say"
    without = f"{len(ignored)} rows of {file} are not obeyed"
    findings = [Finding("labels honoured", "note", honoured, *_files(obeyed))] if obeyed else []
    return decided, findings + ([Finding("labels ignored", "warning", without, *_files(ignored))] if ignored else [])


def _fault(row: LabelRow, found: Sequence[Photo], classes: set[str]) -> str:
    if len(found) != 1:
        return f"on {' and '.join(photo.split for photo in found)}: name one" if found else "there is no such photo"
    if row.target and row.target not in classes:
        return f"there is no class {row.target}"
    return "of test, which is judged as it lies" if found[0].split == "test" and row.action != "keep" else ""


def _files(rows: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, ...]], list[str]]:
    return [(path,) for path, _ in rows], [remark for _, remark in rows]
