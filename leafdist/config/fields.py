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
        """Raises ValueError where a number is not finite or beyond the limits of its key."""
        section = type(self).__name__.removesuffix("Config").lower()
        for setting in fields(self):
            value = getattr(self, setting.name)
            if not isinstance(value, (int, float)):  # auto, null, a name
                continue
            rules = [] if math.isfinite(value) else ["finite"]
            for kind, limit in setting.metadata.get("limits", {}).items():
                words, holds = LIMITS[kind]
                rules += [] if holds(value, limit) else [f"{words} {limit}"]
            if rules:
                name, default = f"{section}.{setting.name}".lstrip("."), shown(default_of(setting))
                raise ValueError(f"{name}={value}: must be {rules[0]}; the default is {default}")
