"""The page: its parts in the order in which a reader asks for them, in one file that needs no other."""

import base64
import hashlib
from datetime import datetime
from importlib.resources import files as resources
from string import Template

from leafdist.config.networks import network
from leafdist.pages.html import Html, join, tag
from leafdist.pages.pictures import Pictures
from leafdist.report.class_table import classes
from leafdist.report.conditions import configuration, environment
from leafdist.report.contents import Facts
from leafdist.report.curves import curves
from leafdist.report.data_card import data_card
from leafdist.report.figures import headline
from leafdist.report.gallery import gallery
from leafdist.report.matrix import matrix
from leafdist.report.reliability import calibration

STYLES = ("page.css", "parts.css", "matrix.css", "print.css")
SCRIPTS = ("charts.js", "tables.js", "matrix.js", "page.js")
Part = tuple[str, str, Html | None]  # id, name in the table of contents, content


def single(facts: Facts) -> str:
    """The whole page of one run."""
    pictures = Pictures(facts.folder, facts.record.config.data.fit)
    confusion, photos = matrix(facts, pictures), gallery(facts, pictures)
    parts: list[Part] = [
        ("learning", "Learning", curves(facts) if facts.record.epochs else None),
        ("confusion", "Confusion", confusion),
        ("classes", "Classes", classes(facts)),
        ("confidence", "Confidence", calibration(facts)),
        ("photos", "Photos", photos),
        ("data", "Data", data_card(facts)),
        ("configuration", "Configuration", configuration(facts)),
        ("environment", "Environment and cost", environment(facts)),
    ]
    above = [missing(facts, len(pictures.gone)), headline(facts) if facts.meta else None]
    return page(facts.record.name, subtitle(facts), above, parts)


def subtitle(facts: Facts) -> str:
    config, starts = facts.record.config, facts.record.starts
    when = f", started {datetime.fromisoformat(starts[0]['time']):%-d %B %Y}" if starts else ""
    return f"{network(config.model.name).title}, {facts.record.state}{when}"


def missing(facts: Facts, gone: int) -> Html | None:
    """What is not in the report, and the command that brings it."""
    items = [tag("li", what, " ", tag("code", command)) for what, command in facts.missing()]
    if gone and facts.folder.is_dir():
        items.append(tag("li", f"{gone} photos that should be shown cannot be read in {facts.folder}."))
    if not items:
        return None
    again = tag("p", "Then ", tag("code", f"leafdist report {facts.path}"), " writes this page again.")
    return tag("aside", tag("h2", "Not in this report"), tag("ul", items), again, class_="missing")


def page(title: str, below: str, above: list[Html | None], parts: list[Part]) -> str:
    """One file of HTML that needs no other: styles, scripts and pictures inside."""
    shown = [(key, name, content) for key, name, content in parts if content]
    links = tag("ol", [tag("li", tag("a", name, href=f"#{key}")) for key, name, _ in shown])
    script = join([Html(_asset(name)) for name in SCRIPTS])
    return Template(_asset("page.html")).substitute(
        title=tag("title", f"{title} · leafdist"),
        heading=tag("h1", title),
        subtitle=tag("p", below, class_="subtitle"),
        contents=links,
        main=join([*above, *(content for _, _, content in shown)]),
        style="\n".join(_asset(name) for name in STYLES),
        script=script,
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _asset(name: str) -> str:
    return (resources("leafdist.report") / "assets" / name).read_text(encoding="utf-8")
