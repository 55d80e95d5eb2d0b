"""Numbers and names as people read them; the exact value stands in the page beside each."""

from datetime import datetime

THIN = "\N{NARROW NO-BREAK SPACE}"


def percent(share: float, digits: int = 1) -> str:
    """`97.3 %` of 0.973."""
    return f"{100 * share:.{digits}f}{THIN}%"


def points(share: float) -> str:
    """Percentage points with two digits: `2.50` of 0.025."""
    return f"{100 * share:.2f}".replace("-", "\N{MINUS SIGN}")


def number(value: float, digits: int = 3) -> str:
    """The value with `digits` decimals."""
    return f"{value:.{digits}f}"


def count(value: int) -> str:
    """A number of things, with thin spaces between thousands from 10,000 on."""
    return f"{value:,}".replace(",", THIN) if value >= 10_000 else str(value)


def many(value: int, one: str, more: str | None = None) -> str:
    """`1 photo`, `2 photos`; `more` is the plural where it is not `one` with an s."""
    return f"{count(value)} {one if value == 1 else more or one + 's'}"


def interval(bounds: tuple[float, float], digits: int = 1) -> str:
    """`95.1 – 97.3 %` of shares."""
    return f"{100 * bounds[0]:.{digits}f} – {percent(bounds[1], digits)}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f}{THIN}s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f}{THIN}min"
    return f"{seconds / 3600:.1f}{THIN}h"


def moment(time: str) -> str:
    """`2026-11-28 05:16 UTC` of a time in ISO format."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC"


def crop_of(name: str) -> str:
    """`Pepper, bell` of `Pepper,_bell___Bacterial_spot`; empty where classes are named otherwise."""
    crop, mark, _ = name.partition("___")
    return plain(crop) if mark else ""


def disease_of(name: str) -> str:
    """`Bacterial spot` of `Pepper,_bell___Bacterial_spot`."""
    return plain(name.partition("___")[2] or name)


def title_of(name: str) -> str:
    """`Tomato · Early blight` of `Tomato___Early_blight`."""
    return f"{crop_of(name)} · {disease_of(name)}" if crop_of(name) else disease_of(name)


def plain(text: str) -> str:
    """The text with spaces for underscores."""
    return " ".join(text.replace("_", " ").replace(",", ", ").split())
