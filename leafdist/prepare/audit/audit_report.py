"""What was found, as text and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.leakage import Seen
from leafdist.prepare.audit.shortcuts import Probe

FORMAT = 1
SHOWN = 3  # files of a finding that the text names
MARKS = {"error": "ERROR", "warning": "warning", "note": "note"}


@dataclass(frozen=True)
class Report:
    """counts: photos of each class in each split; seconds: that the audit took."""

    root: str
    counts: dict[str, dict[str, int]]
    findings: list[Finding]
    seen: dict[str, Seen]
    probes: list[Probe]
    verdict: list[str]
    seconds: float

    @property
    def failed(self) -> bool:
        return any(finding.level == "error" for finding in self.findings)

    @property
    def totals(self) -> dict[str, int]:
        """Photos of each split."""
        splits = next(iter(self.counts.values()))
        return {split: sum(count[split] for count in self.counts.values()) for split in splits}

    def headline(self) -> str:
        parts = ", ".join(f"{split} {count}" for split, count in self.totals.items() if split)
        photos = sum(self.totals.values())
        return f"{photos} photos in {len(self.counts)} classes" + (f" ({parts})" if parts else ", not split")

    def text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.root}: {self.headline()}; looked at in {self.seconds:.0f} s"
        for finding in self.findings:
            yield f"{MARKS[finding.level]:7}  {finding.kind}: {finding.text}"
            for place, files in enumerate(finding.files[:SHOWN]):
                remark = f"  ({finding.remarks[place]})" if finding.remarks else ""
                yield f"           {' = '.join(files[:SHOWN])}{remark}"
            if len(finding.files) > SHOWN:
                yield f"           and {len(finding.files) - SHOWN} more: --json names all of them"
        yield "verdict"
        yield from (f"  - {line}" for line in self.verdict)

    def json(self) -> dict[str, Any]:
        """Plain values; every file concerned is named."""
        values = asdict(self) | {
            "findings": [finding._asdict() for finding in self.findings],
            "seen": {split: seen._asdict() for split, seen in self.seen.items()},
            "probes": [probe._asdict() for probe in self.probes],
        }
        return {"format": FORMAT, "failed": self.failed, "totals": self.totals} | values
