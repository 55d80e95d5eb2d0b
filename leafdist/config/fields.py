"""Settings that know their default, their range and their meaning. No slow import."""

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal

Value = bool | int | float | str | list[str] | None  # of a setting
LIMITS = {
    "low": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "high": ("at most", operator.le),
    "below": ("below", operator.lt),
}


def key(default: Any, text: str, *, choices: Callable[[], Iterable[str]] | None = None, **limits: float) -> Any:
    """A setting: default, help text, its range as low=, above=, high= or below=, or the texts to choose from."""
    return field(default=default, metadata={"help": text, "limits": limits, "choices": choices})


def type_of(setting: Field[Any]) -> Any:
    """Return the type of a setting; the Literal of its choices where these come from a table."""
    choices = setting.metadata.get("choices")
    return Literal[tuple(choices())] if choices else setting.type


def default_of(setting: Field[Any]) -> Any:
    """The value of a setting that nobody gave."""
    return setting.default if setting.default_factory is MISSING else setting.default_factory()


def shown(value: object) -> str:
    """A value as YAML writes it: null, true, 0.001, [a, b]."""
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Settings that check their own ranges."""

    def __post_init__(self) -> None:
        section = type(self).__name__.removesuffix("Config").lower()
        for setting in fields(self):
            check_range(f"{section}.{setting.name}".lstrip("."), getattr(self, setting.name), setting)


def check_range(name: str, value: Any, setting: Field[Any]) -> None:
    """Raises ValueError where a number is not finite or beyond the limits of its key."""
    if not isinstance(value, (int, float)):  # auto, null, a name
        return
    default = shown(default_of(setting))
    if not math.isfinite(value):
        raise ValueError(f"{name}={value}: must be finite; the default is {default}")
    for kind, limit in setting.metadata.get("limits", {}).items():
        words, holds = LIMITS[kind]
        if not holds(value, limit):
            raise ValueError(f"{name}={value}: must be {words} {limit}; the default is {default}")
