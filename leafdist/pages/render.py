"""HTML from templates: everything that is written into a page is escaped."""

import base64
import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leafdist.pages import words
from leafdist.pages.axis import Axis

STYLES = ("page.css", "parts.css", "matrix.css", "audit.css", "print.css")
SCRIPTS = ("charts.js", "tables.js", "matrix.js", "page.js")
FILTERS = (
    words.percent,
    words.number,
    words.points,
    words.count,
    words.many,
    words.interval,
    words.duration,
    words.moment,
    words.crop_of,
    words.disease_of,
    words.title_of,
    words.plain,
    shlex.quote,
)


@dataclass(frozen=True)
class Section:
    """A part of a page: its id, its name in the contents, its template, and `value`, which the template shows."""

    key: str
    name: str
    template: str
    value: object


def render(template: str, **values: object) -> str:
    """Fill in a template of pages/templates/; text is escaped."""
    return _environment().get_template(template).render(values)


def render_alone(template: str, styles: Sequence[str], scripts: Sequence[str], **values: object) -> str:
    """Fill in a page in one file: `style`, `script` and `hash`, by which its policy allows that script and no other."""
    script = "".join(_asset(name) for name in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = Markup("\n".join(_asset(name) for name in styles))
    return render(template, style=style, script=Markup(script), hash=digest, **values)


def render_page(title: str, subtitle: str, above: str, sections: Sequence[Section], *, scripts: bool = True) -> str:
    """A page in one file that loads nothing: `above` is HTML, sections without a value are left out."""
    return render_alone(
        "page.html",
        STYLES,
        SCRIPTS if scripts else (),
        title=title,
        subtitle=subtitle,
        above=Markup(above),
        sections=[section for section in sections if section.value is not None],
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("leafdist.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({function.__name__: function for function in FILTERS})
    environment.globals.update(THIN=words.THIN, Axis=Axis)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _asset(name: str) -> str:
    return (resources("leafdist.pages") / "assets" / name).read_text(encoding="utf-8")
