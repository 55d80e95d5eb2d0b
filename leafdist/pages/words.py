"""Numbers and names as people read them; the exact value stands in the page beside each."""

from collections.abc import Sequence

from leafdist.pages.html import Html, tag

THIN = "\N{NARROW NO-BREAK SPACE}"


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}{THIN}%"


def number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}"


def count(value: int) -> str:
    """With thin spaces between thousands, from 10,000 on."""
    return f"{value:,}".replace(",", THIN) if value >= 10_000 else str(value)


def many(value: int, one: str, more: str | None = None) -> str:
    return f"{count(value)} {one if value == 1 else more or one + 's'}"


def data(value: float, text: str, key: str | None = None) -> Html:
    """What is read and what a program reads; `key` names the figure in the JSON."""
    return tag("data", text, value=repr(value), data_key=key)


def interval(bounds: Sequence[float], digits: int = 1) -> str:
    return f"{100 * bounds[0]:.{digits}f} – {percent(bounds[1], digits)}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f}{THIN}s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f}{THIN}min"
    return f"{seconds / 3600:.1f}{THIN}h"


def crop_of(name: str) -> str:
    """`Pepper, bell` of `Pepper,_bell___Bacterial_spot`; nothing where classes are named otherwise."""
    crop, mark, _ = name.partition("___")
    return plain(crop) if mark else ""


def disease_of(name: str) -> str:
    return plain(name.partition("___")[2] or name)


def title_of(name: str) -> str:
    """`Tomato · Early blight`."""
    return f"{crop_of(name)} · {disease_of(name)}" if crop_of(name) else disease_of(name)


def plain(text: str) -> str:
    return " ".join(text.replace("_", " ").replace(",", ", ").split())
