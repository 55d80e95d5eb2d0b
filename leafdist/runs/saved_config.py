"""config.yaml of a run folder: the resolved configuration, enough to repeat the run."""

from pathlib import Path

import yaml

from leafdist.config.schema import Config, saved, to_dict
from leafdist.runs.layout import RunLayout
from leafdist.system import files


def write_config(run: Path, config: Config) -> None:
    """Write config.yaml of the run folder `run`."""
    files.write_text(RunLayout(run).config, yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True))


def config_path(run: Path) -> Path:
    """Return the path of config.yaml. Raises ValueError if the folder is not a run."""
    path = RunLayout(run).config
    if not path.is_file():
        raise ValueError(f"{run} is not a run folder: it has no config.yaml. Name one such as runs/resnet50")
    return path


def read_config(run: Path) -> Config:
    """Read config.yaml. Raises ValueError if the folder is not a run or the file is damaged."""
    path = config_path(run)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return saved(values)
    except (yaml.YAMLError, TypeError, AttributeError, ValueError) as error:  # TypeError, AttributeError: no sections
        raise ValueError(f"{path} is damaged: {error}") from error
