"""What the text of a setting means, the same in a file and as a flag: decimal numbers, names as written, full paths."""

import os
import re
from collections.abc import Sequence
from string import Template
from typing import Any, Literal, get_args, get_origin

import yaml

from leafdist.config.fields import default_of, shown, type_of
from leafdist.config.schema import KEYS

KINDS = {  # type of a key: how --help and how messages name it
    int: ("INT", "a whole number"),
    float: ("NUMBER", "a number"),
    bool: ("true|false", "true or false"),
    str: ("TEXT", "a text"),
    type(None): ("null", "null"),
    list[str]: ("[a,b]", "a list in brackets, such as [a,b]"),
    list[float]: ("[LOW,HIGH]", "two numbers, such as [0.5,1]"),
}
BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
PAIR = 2  # numbers of a range
NULLS = ("null", "Null", "NULL", "~", "None")  # None: what W&B makes of a null in a sweep
EARLIER = {("data.source", "auto"): "pack"}  # values of earlier releases, and what they meant
# no 010, 0x10, 1_000 or 1:30: YAML 1.1 reads them in other bases, YAML 1.2 does not
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
ODD = re.compile(r"[-+]?(0[0-9box]|[0-9]+[_:][0-9])", re.IGNORECASE)


class ConfigLoader(yaml.BaseLoader):
    """YAML whose scalars are texts. Raises ValueError for a key given twice, an anchor, an alias or a tag."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build one mapping."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{name} is given twice")
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Read one node."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) or getattr(event, "tag", None):  # an alias has an anchor too
            line = event.start_mark.line + 1
            raise ValueError(
                f"line {line}: anchors, aliases and tags are not read; quote a text that begins with &, * or !"
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def read_value(name: str, given: object) -> Any:
    """The value of a key, from a flag's text or as a file holds it. Raises ValueError where its type is another."""
    setting = KEYS[name]
    kinds, path = alternatives(type_of(setting)), setting.metadata.get("kind") == "path"
    if given == "--":
        raise ValueError(f"{name}=--: -- ends the flags; choose another text")
    if list[str] in kinds:
        items = read_list(given) if isinstance(given, str) else given
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return [expand(name, item) for item in items] if path else items
    elif list[float] in kinds and given not in NULLS:
        items = read_list(given) if isinstance(given, str) else given
        numbers = [read_word(str(item).strip(), [float]) for item in items] if isinstance(items, list) else []
        if len(numbers) == PAIR and None not in numbers:
            return numbers
    elif isinstance(given, str):
        if path and given == "~":
            raise ValueError(f"{name}=~: write null for none, or ~/ for your home folder")
        if type(None) in kinds and given in NULLS:
            return None
        if str in kinds:
            return expand(name, given) if path else given
        value = read_word(EARLIER.get((name, given), given).strip(), kinds)
        if value is not None:
            return value
    words = " or ".join(KINDS[kind][1] if kind in KINDS else kind for kind in kinds)
    odd = "; numbers are decimal, without 0x, _ or : and with no 0 in front" if ODD.match(str(given)) else ""
    raise ValueError(f"{name}={shown(given)}: must be {words}{odd}; the default is {shown(default_of(setting))}")


def read_word(word: str, kinds: Sequence[Any]) -> bool | int | float | str | None:
    """The name, switch or number that a word stands for among `kinds`; None if it is none of them."""
    if word in kinds:
        return word
    if bool in kinds:
        return BOOLS.get(word.lower())
    if int in kinds and WHOLE.fullmatch(word):
        return int(word)
    return float(word) if float in kinds and DECIMAL.fullmatch(word) else None


def read_list(text: str) -> object:
    """Return the list that a flag such as `[a, b]` stands for; what is none, as it is."""
    try:
        return yaml.load(text, ConfigLoader) if text.strip().startswith("[") else text
    except yaml.YAMLError:
        return text


def expand(name: str, text: str) -> str:
    """Put $VARIABLES and ~ of a path in full. Raises ValueError for one that is not set or has no home."""
    try:
        path = Template(text).substitute({key: value for key, value in os.environ.items() if value})
    except KeyError as unset:
        fault = f"${unset.args[0]} is not set, or empty; set it, or write $$ for a dollar sign"
        raise ValueError(f"{name}={shown(text)}: {fault}") from None
    except ValueError:
        fault = "a $ must begin the name of a variable; write $$ for a dollar sign"
        raise ValueError(f"{name}={shown(text)}: {fault}") from None
    path = os.path.expanduser(path)  # noqa: PTH111 - a Path would drop a slash at the end
    if path.startswith("~"):
        raise ValueError(f"{name}={shown(text)}: no home folder is known for it; write it out, or ./~ for such a name")
    return path


def alternatives(hint: Any) -> list[Any]:
    """What a key may be: types, and names as they stand. `int | Literal["auto"]` gives [int, "auto"]."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if hint in KINDS:
        return [hint]
    return [kind for part in get_args(hint) for kind in alternatives(part)]
