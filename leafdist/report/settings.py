"""The settings of a run, beside those that it would have by default."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from leafdist.config.resolve import resolve
from leafdist.config.schema import KEYS, Config, DataConfig, ModelConfig, flatten, to_dict
from leafdist.report.contents import Contents

NAMES = {"run.name", "run.folder"}  # always differ, and say nothing


@dataclass(frozen=True)
class Setting:
    """A key of the configuration with its value, and the default where that is another one."""

    section: str
    name: str
    help: str
    value: str
    default: str | None


def settings(contents: Contents) -> list[Setting]:
    """List every setting, in the order of the configuration."""
    values, defaults = flatten(to_dict(contents.record.config)), _defaults(contents.record.config)
    found = []
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        default = yaml_text(defaults[key]) if value != defaults[key] and key not in NAMES else None
        help_ = KEYS[key].metadata.get("help", "")
        found.append(Setting(section or "general", name, help_, yaml_text(value), default))
    return found


def yaml_text(value: object) -> str:
    """The value as it stands in YAML."""
    return str(value) if isinstance(value, str) and value else json.dumps(value)


def _defaults(config: Config) -> Mapping[str, object]:
    """What this network would have; what only the machine decides counts as left alone."""
    alone = Config(model=ModelConfig(name=config.model.name))
    try:
        plain = flatten(to_dict(resolve(alone)))
    except ValueError:  # timm normalises it by numbers that have no name here, so that one must be chosen
        plain = flatten(to_dict(resolve(replace(alone, data=DataConfig(normalize=config.data.normalize)))))
    by_machine = {"train.precision": config.train.precision, "train.graph": config.train.graph}
    return plain | by_machine | {"model.name": Config().model.name}
