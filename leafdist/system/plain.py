"""Frozen dataclasses as JSON and back: the one place where the two are turned into each other.

Keys that a class does not know are skipped, and keys that a file lacks get the class's default: files of older and
newer releases are read as far as they go.
"""

import dataclasses
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from leafdist.system import files

Record = TypeVar("Record")
_NUMBERS = {float: (int, float), int: (int,), bool: (bool,), str: (str,)}


def to_plain(record: object) -> Any:
    """Lists, dictionaries, numbers and texts: what json.dumps takes, in the order of the fields."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {field.name: to_plain(getattr(record, field.name)) for field in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {name: to_plain(value) for name, value in record.items()}
    return [to_plain(value) for value in record] if isinstance(record, (list, tuple)) else record


def from_plain(kind: type[Record], values: object, source: object) -> Record:
    """An instance of the dataclass `kind`. Raises ValueError naming `source` and the key that is absent or wrong."""
    return _read(kind, values, "", source)  # type: ignore[no-any-return]


def read(kind: type[Record], path: Path) -> Record:
    """`from_plain` of a JSON file. Raises ValueError where it is damaged."""
    return from_plain(kind, files.read_json(path), path)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(hint: Any, value: Any, name: str, source: object) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else _read_fields(hint, value, name, source)
    if origin in (Union, types.UnionType):
        rest = [one for one in inner if one is not types.NoneType]
        named = any(get_origin(one) is Literal and value in get_args(one) for one in rest)  # such as "auto"
        return value if value is None or named else _read(rest[0], value, name, source)
    if origin is tuple and isinstance(value, list) and (Ellipsis in inner or len(inner) == len(value)):
        kinds = inner if Ellipsis not in inner else (inner[0],) * len(value)
        return tuple(_read(one, part, name, source) for one, part in zip(kinds, value, strict=True))
    if origin is list and isinstance(value, list):
        return [_read(inner[0], part, name, source) for part in value]
    if origin is dict and isinstance(value, dict):
        return {key: _read(inner[1], part, f"{name}.{key}".lstrip("."), source) for key, part in value.items()}
    if origin in (tuple, list, dict) or (hint in _NUMBERS and not isinstance(value, _NUMBERS[hint])):
        raise ValueError(f"{source} is damaged: its {name} is no {getattr(origin or hint, '__name__', hint)}")
    return value


def _read_fields(kind: type, values: Any, name: str, source: object) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{source} is damaged: {f'its {name} is' if name else 'it holds'} no JSON object")  # noqa: TRY004
    given = {}
    for field in dataclasses.fields(kind):
        full = f"{name}.{field.name}".lstrip(".")
        if field.name in values:
            given[field.name] = _read(_hints(kind)[field.name], values[field.name], full, source)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{source} is damaged: it lacks {full}")
    return kind(**given)
