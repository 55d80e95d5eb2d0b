"""What a check has to say: a line, with the way out where one is needed; equal lines of several nodes become one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STATUSES = ("ok", "note", "warning", "error")
FIGURE = re.compile(r"\{(\w+):([^}]*)\}")


@dataclass(frozen=True)
class Finding:
    """`text` holds its figures as `{name:format}`: nodes may differ in them and still say the same."""

    check: str
    status: str
    text: str
    way_out: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def sentence(self) -> tuple[str, str, str, str]:
        return self.check, self.status, self.text, self.way_out


def ok(check: str, text: str, **figures: float) -> Finding:
    return Finding(check, "ok", text, "", figures)


def note(check: str, text: str, way_out: str = "", **figures: float) -> Finding:
    """Good to know; nothing is wrong."""
    return Finding(check, "note", text, way_out, figures)


def warning(check: str, text: str, way_out: str, **figures: float) -> Finding:
    """Training works, but slower or less safely than it could."""
    return Finding(check, "warning", text, way_out, figures)


def error(check: str, text: str, way_out: str, **figures: float) -> Finding:
    """Training will not work."""
    return Finding(check, "error", text, way_out, figures)


@dataclass(frozen=True)
class Merged:
    """A sentence, and the nodes that say it with their figures."""

    check: str
    status: str
    text: str
    way_out: str
    nodes: Mapping[str, Mapping[str, float]]

    def rendered(self) -> str:
        """With figures; where nodes differ, the range of them."""
        return FIGURE.sub(self._figure, self.text)

    def _figure(self, found: re.Match[str]) -> str:
        name, form = found.groups()
        values = sorted(figures[name] for figures in self.nodes.values())
        least, most = format(values[0], form), format(values[-1], form)
        return least if least == most else f"{least} to {most}"

    def json(self) -> dict[str, Any]:
        nodes = {node: dict(figures) for node, figures in self.nodes.items()}
        return {"check": self.check, "status": self.status, "text": self.rendered(), "way_out": self.way_out} | {
            "nodes": nodes
        }


def merge(findings: Iterable[tuple[str, Finding]]) -> list[Merged]:
    """Of (node, finding), in the order in which sentences are first met; checks stay together."""
    said: dict[tuple[str, str, str, str], dict[str, Mapping[str, float]]] = {}
    for node, finding in findings:
        said.setdefault(finding.sentence, {})[node] = finding.figures
    checks = list(dict.fromkeys(sentence[0] for sentence in said))
    order = sorted(said, key=lambda sentence: checks.index(sentence[0]))
    return [Merged(*sentence, nodes=said[sentence]) for sentence in order]


def worst(findings: Iterable[Merged]) -> str:
    return max((finding.status for finding in findings), key=STATUSES.index, default="ok")
