"""Settings that know their default, their range and their meaning. No slow import."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal
from unicodedata import category

Value = bool | int | float | str | list[str] | list[float] | None  # of a setting
LIMITS = {
    "low": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "high": ("at most", operator.le),
    "below": ("below", operator.lt),
}


def key(
    default: Any, text: str, *, choices: Callable[[], Iterable[str]] | None = None, kind: str = "text", **limits: float
) -> Any:
    """A setting: default, help text, its range as low=, above=, high= or below=, or the texts to choose from.

    kind, of a text: `name` of a folder, or `path`, in which ~ and $VARIABLES are expanded.
    """
    return field(default=default, metadata={"help": text, "limits": limits, "choices": choices, "kind": kind})


def type_of(setting: Field[Any]) -> Any:
    """Return the type of a setting; the Literal of its choices where these come from a table."""
    choices = setting.metadata.get("choices")
    return Literal[tuple(choices())] if choices else setting.type


def default_of(setting: Field[Any]) -> Any:
    """The value of a setting that nobody gave."""
    return setting.default if setting.default_factory is MISSING else setting.default_factory()


def shown(value: object) -> str:
    """A value as YAML writes it: null, true, 0.001, [a, b]; a text that would not be seen, in quotes."""
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, str) and not (value.strip() and value.isprintable()):
        return repr(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Settings that check their own ranges."""

    def __post_init__(self) -> None:
        """Raises ValueError where a number is not finite or beyond the limits of its key, or a text cannot be seen."""
        section = type(self).__name__.removesuffix("Config").lower()
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, (int, float)):
                rules = [] if math.isfinite(value) else ["finite"]
                for kind, limit in setting.metadata.get("limits", {}).items():
                    words, holds = LIMITS[kind]
                    rules += [] if holds(value, limit) else [f"{words} {limit}"]
            else:
                texts = value if isinstance(value, list) else [value]
                rules = [rule for text in texts if isinstance(text, str) and (rule := fault(text, setting.metadata))]
            if rules:
                name, default = f"{section}.{setting.name}".lstrip("."), shown(default_of(setting))
                raise ValueError(f"{name}={shown(value)}: must be {rules[0]}; the default is {default}")


def fault(text: str, about: Mapping[str, Any]) -> str:
    """The rule that a text breaks, if any; `about` is the metadata of its key. A path may hold any character."""
    kinds, kind = {category(character) for character in text}, about.get("kind", "text")
    if not any(one[0] not in "ZC" for one in kinds):
        return "a text with a visible character (in a file, # begins a comment: quote it)"
    if "\0" in text or (kind != "path" and kinds & {"Cc", "Zl", "Zp"}):
        return "free of control characters"
    plain = kind != "name" or (text not in (".", "..") and "/" not in text)
    return "" if plain else "a plain folder name; run.folder says where that folder is"
