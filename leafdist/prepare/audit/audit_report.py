"""The findings of an audit as text, as JSON, and as one page of HTML that loads nothing: photos are small JPEGs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leafdist.pages.pictures import Picture, thumbnail
from leafdist.pages.render import Section, render_page
from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.leakage import Seen
from leafdist.prepare.audit.shortcuts import Probe
from leafdist.system.plain import to_plain

FORMAT = 1
SHOWN = 3  # files of a finding that the text names
PICTURED = 24  # groups of photos per finding
TOGETHER = 4  # photos per group
PICTURELESS = {
    "one class",
    "leaf ids in two classes",
    "unknown classes in groups",
    "other entries",
    "no leaf id",
    "imbalance",
    "labels ignored",
    "empty class",
    "missing class",
    "class names",
}
MARKS = {"error": "ERROR", "warning": "warning", "note": "note"}


@dataclass(frozen=True)
class Report:
    """All that an audit found; counts: photos of each class in each split; seconds: how long it took."""

    root: str
    counts: dict[str, dict[str, int]]
    findings: list[Finding]
    seen: dict[str, Seen]
    probes: list[Probe]
    verdict: list[str]
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(finding.level == "error" for finding in self.findings)

    @property
    def totals(self) -> dict[str, int]:
        """Count the photos of each split."""
        splits = next(iter(self.counts.values()))
        return {split: sum(count[split] for count in self.counts.values()) for split in splits}

    def headline(self) -> str:
        """Say in one line how many photos there are."""
        parts = ", ".join(f"{split} {count}" for split, count in self.totals.items() if split)
        photos = sum(self.totals.values())
        return f"{photos} photos in {len(self.counts)} classes" + (f" ({parts})" if parts else ", not split")

    def text(self) -> str:
        """Return what is printed: findings with a few of their files, and the verdict."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.root}: {self.headline()}; looked at in {self.seconds:.0f} s"
        for finding in self.findings:
            yield f"{MARKS[finding.level]:7}  {finding.kind}: {finding.text}"
            for number, files in enumerate(finding.files[:SHOWN]):
                remark = f"  ({finding.remarks[number]})" if finding.remarks else ""
                yield f"           {' = '.join(files[:SHOWN])}{remark}"
            if len(finding.files) > SHOWN:
                yield f"           and {len(finding.files) - SHOWN} more: --json names all of them"
        yield "verdict"
        yield from (f"  - {line}" for line in self.verdict)

    def json(self) -> Any:
        """Return plain values that name every file concerned."""
        return {"format": FORMAT, "failed": self.failed, "totals": self.totals, **to_plain(self)}


@dataclass(frozen=True)
class Group:
    """Photos that belong together, None for one that cannot be read, and the lines below them."""

    pictures: list[Picture | None]
    lines: list[str]


def page(report: Report) -> str:
    """The report as HTML; the photos that are shown are read again."""
    root = Path(report.root)
    findings = [(finding, _groups(finding, root)) for finding in report.findings]
    sections = [
        Section("verdict", "What an accuracy on it can mean", "audit/verdict.html", report.verdict),
        Section("found", "What was found", "audit/findings.html", findings),
        Section("classes", "Photos of each class", "audit/classes.html", report),
    ]
    below = f"{report.headline()}; looked at in {report.seconds:.0f} s"
    return render_page(f"Audit of {report.root}", below, "", sections, scripts=False)


def _groups(finding: Finding, root: Path) -> list[Group]:
    """The groups that are shown, without pictures where there is nothing to see."""
    groups = []
    for index, files in enumerate(finding.files[:PICTURED]):
        if finding.kind in PICTURELESS:
            groups.append(Group([], [" = ".join(files)]))
            continue
        remark = [finding.remarks[index]] if finding.remarks and finding.remarks[index] else []
        more = [f"and {len(files) - TOGETHER} more"] if len(files) > TOGETHER else []
        pictures = [thumbnail(root / file) for file in files[:TOGETHER]]
        groups.append(Group(pictures, [*remark, *files[:TOGETHER], *more]))
    return groups
