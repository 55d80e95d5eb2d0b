"""docs/configuration.md from the settings themselves: python scripts/configuration_page.py > docs/configuration.md."""

from typing import get_args, get_origin

from leafdist.config.changes import FREE
from leafdist.config.fields import LIMITS, default_of, shown, type_of
from leafdist.config.schema import KEYS, SECTIONS

HEAD = """# Configuration

Defaults, then `--config FILE`, then flags such as `--optim.lr 3e-4`; `train.py --print_config` prints what comes of it,
and each run keeps it as `config.yaml`. A resumed run may change the settings marked · and raise `train.epochs`,
unless the schedule is cosine or `augment.mix_off_epochs` is set. The paths in `data.extra`, `augment.background_folder`
and `optim.class_weights` may change too, if what lies there is the same. Anything else is refused with a list of what
differs.

A text means the same in a file and as a flag. Numbers are decimal (`30`, `1e-3`); `010`, `0x10`, `1:30` and `1_000` are
errors. Names are as written (`run.name: 010`); `null` is no value. `~`, `$NAME` and `${NAME}` are expanded in
`--config`, `run.folder`, `data.root`, `data.extra`, `data.classes`, `data.cache`, `augment.background_folder`,
`model.weights` and `optim.class_weights`;
a variable that is not set is an error, `$$` is a dollar sign. What YAML would read otherwise is quoted in a file:
`name: '#3'`. `--config` also reads `<(…)` and `/dev/stdin`.
"""


def page() -> str:
    """A table a section."""
    parts = [HEAD, table("", ["seed"])]
    parts += [table(name, [key for key in KEYS if key.startswith(f"{name}.")]) for name in SECTIONS]
    return "\n".join(parts)


def table(section: str, keys: list[str]) -> str:
    """Write the table of a section, a row per key, in Markdown."""
    rows = [
        f"| `{key}` | {'·' if FREE.fullmatch(key) else ''} | `{shown(default_of(KEYS[key]))}` | {words(key)} |"
        for key in keys
    ]
    return "\n".join(
        [
            f"## {section or 'All'}\n",
            "| key | may change | default | what it is |",
            "| --- | :-: | --- | --- |",
            *rows,
            "",
        ]
    )


def words(key: str) -> str:
    """What it is, what it may be, within which limits."""
    setting = KEYS[key]
    text = str(setting.metadata["help"]).replace("<", "&lt;")
    limits = [f"{LIMITS[name][0]} {value}" for name, value in setting.metadata.get("limits", {}).items()]
    return "; ".join([text, *([f"one of {choices}"] if (choices := options(type_of(setting))) else []), *limits])


def options(kind: object) -> str:
    """Names that a setting may have, where these are all it may be."""
    return ", ".join(f"`{name}`" for name in get_args(kind)) if "Literal" in str(get_origin(kind)) else ""


if __name__ == "__main__":
    print(page(), end="")
