"""The audit as one page of HTML: nothing is loaded from anywhere, photos stand in it as small JPEGs."""

from dataclasses import dataclass
from pathlib import Path

from leafdist.pages.pictures import Picture, thumbnail
from leafdist.pages.render import Section, render_page
from leafdist.prepare.audit.audit_report import Report
from leafdist.prepare.audit.finding import Finding

SHOWN = 24  # groups of photos per finding
TOGETHER = 4  # photos per group
PICTURELESS = {"leaf ids in two classes", "unknown classes in groups", "other entries", "no leaf id", "imbalance"}


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
    for index, files in enumerate(finding.files[:SHOWN]):
        if finding.kind in PICTURELESS:
            groups.append(Group([], [" = ".join(files)]))
            continue
        remark = [finding.remarks[index]] if finding.remarks and finding.remarks[index] else []
        more = [f"and {len(files) - TOGETHER} more"] if len(files) > TOGETHER else []
        pictures = [thumbnail(root / file) for file in files[:TOGETHER]]
        groups.append(Group(pictures, [*remark, *files[:TOGETHER], *more]))
    return groups
