"""HTML as values: text is escaped, what `tag` has made stands as it is."""

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

VOID = {"meta", "img", "br", "input", "link"}


class Html(str):
    """Markup; a plain `str` is text."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"


def tag(name: str, *children: Child, **attributes: object) -> Html:
    """`tag("p", "1 < 2", class_="soft")`; None and False leave an attribute out, True gives it bare."""
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(opening if name in VOID else f"{opening}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    return Html("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    return escape(child, quote=False) if isinstance(child, str) else join(child)


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-") if key != "viewBox" else key
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
