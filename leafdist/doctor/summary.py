"""What was found, on all nodes: as a table and as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from leafdist.doctor.diagnosis import STATUSES, Finding, Merged, merge, worst
from leafdist.doctor.launch import Place
from leafdist.system import console

STYLES = {"note": "dim", "warning": "yellow", "error": "red"}


@dataclass(frozen=True)
class Report:
    """`findings` are merged over the nodes; `processes` took part."""

    findings: list[Merged]
    nodes: list[str]
    processes: int
    seconds: float

    @classmethod
    def of(cls, found: Iterable[tuple[str, Finding]], place: Place, seconds: float) -> "Report":
        every = list(found)
        return cls(merge(every), list(dict.fromkeys(node for node, _ in every)), place.world, seconds)

    @property
    def failed(self) -> bool:
        return worst(self.findings) == "error"

    def show(self) -> None:
        """A line a finding; the last one counts them."""
        several = len(self.nodes) > 1
        columns = ["check", "status", *(["nodes"] if several else []), "what was found"]
        rows = [self._row(finding, several=several) for finding in self.findings]
        styles = {place: STYLES[one.status] for place, one in enumerate(self.findings) if one.status in STYLES}
        console.table(columns, rows, styles=styles, shrink="what was found")
        counts = {status: sum(one.status == status for one in self.findings) for status in reversed(STATUSES)}
        summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        where = f"{len(self.nodes)} nodes, {self.processes} processes" if several else self.nodes[0]
        console.say(f"{where}: {summary}, in {self.seconds:.0f} s", STYLES.get(worst(self.findings), "green"))

    def _row(self, one: Merged, *, several: bool) -> list[str]:
        text = f"{one.rendered()}. {one.way_out}" if one.way_out else one.rendered()
        nodes = "all" if set(one.nodes) == set(self.nodes) else ", ".join(one.nodes)
        return [one.check, one.status, *([nodes] if several else []), text]

    def json(self) -> dict[str, Any]:
        return {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "status": worst(self.findings),
            "nodes": self.nodes,
            "processes": self.processes,
            "seconds": round(self.seconds, 1),
            "findings": [finding.json() for finding in self.findings],
        }
