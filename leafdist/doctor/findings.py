"""What the checks find: one line each, with the way out where one is needed, on all nodes, as a table and as JSON."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from leafdist.system import console

STATUSES = ("ok", "note", "warning", "error")
STYLES = {"note": "dim", "warning": "yellow", "error": "red"}
FIGURE = re.compile(r"\{(\w+):([^}]*)\}")
Figures = dict[str, float]


@dataclass(frozen=True)
class Finding:
    """A line of a check; `text` holds its figures as `{name:format}`, so that nodes may differ in these alone."""

    status: str
    check: str
    text: str
    way_out: str = ""
    figures: Figures = field(default_factory=dict)


ok = partial(Finding, "ok")  # nothing is wrong
note = partial(Finding, "note")  # good to know; nothing is wrong
warning = partial(Finding, "warning")  # training works, but slower or less safely than it could
error = partial(Finding, "error")  # training will not work


@dataclass(frozen=True)
class Line:
    """A finding with its figures filled in, and the figures of each node that has it."""

    check: str
    status: str
    text: str
    way_out: str
    nodes: dict[str, Figures]


def merge(found: Iterable[tuple[str, Finding]]) -> list[Line]:
    """Make equal findings of nodes one line, in the order in which they come; lines of a check stay together."""
    nodes: dict[tuple[str, str, str, str], dict[str, Figures]] = {}
    for node, one in found:
        nodes.setdefault((one.check, one.status, one.text, one.way_out), {})[node] = one.figures
    checks = list(dict.fromkeys(check for check, *_ in nodes))
    order = sorted(nodes, key=lambda line: checks.index(line[0]))
    return [Line(*line[:2], filled(line[2], list(nodes[line].values())), line[3], nodes[line]) for line in order]


def filled(text: str, figures: list[Figures]) -> str:
    """The text with its figures; a range where nodes differ."""

    def figure(found: re.Match[str]) -> str:
        name, form = found.groups()
        least, most = (format(pick(values[name] for values in figures), form) for pick in (min, max))
        return least if least == most else f"{least} to {most}"

    return FIGURE.sub(figure, text)


@dataclass(frozen=True)
class Report:
    """All findings of an examination, in which so many `processes` took part."""

    time: str
    status: str
    nodes: list[str]
    processes: int
    seconds: float
    findings: list[Line]

    def show(self) -> None:
        """Print one line per finding, and a last one that counts them."""
        several = len(self.nodes) > 1
        columns = ["check", "status", *(["nodes"] if several else []), "what was found"]
        styles = {row: STYLES[line.status] for row, line in enumerate(self.findings) if line.status in STYLES}
        rows = []
        for line in self.findings:
            nodes = "all" if set(line.nodes) == set(self.nodes) else ", ".join(line.nodes)
            text = f"{line.text}. {line.way_out}" if line.way_out else line.text
            rows.append([line.check, line.status, *([nodes] if several else []), text])
        console.table(columns, rows, styles=styles, shrink="what was found")
        counts = [(status, sum(line.status == status for line in self.findings)) for status in reversed(STATUSES)]
        summary = ", ".join(f"{count} {status}" for status, count in counts if count)
        where = f"{len(self.nodes)} nodes, {self.processes} processes" if several else self.nodes[0]
        console.say(f"{where}: {summary}, in {self.seconds:.0f} s", STYLES.get(self.status, "green"))


def report(found: Iterable[tuple[str, Finding]], processes: int, seconds: float) -> Report:
    """Put together what was found, as pairs of node and finding."""
    every = list(found)
    status = max((one.status for _, one in every), key=STATUSES.index, default="ok")
    nodes = list(dict.fromkeys(node for node, _ in every))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(now, status, nodes, processes, round(seconds, 1), merge(every))
