"""Runs as a training leaves them, with drawn weights and without one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, from_dict
from leafdist.models.build import build_model
from leafdist.runs.checkpoint import save_best, tensors_of
from leafdist.runs.facts import CheckpointMeta, Preprocessing, RunFacts, read_facts, write_facts
from leafdist.runs.saved_config import write_config
from tests.helpers.photos import CLASSES

DATA = {"resize": 16, "crop": 0}


def configured(root: Path, **sections: Any) -> Config:
    values = {"model": {"name": "baseline"}, "data": DATA | {"root": str(root)}, "train": {"precision": "no"}}
    return resolve(from_dict({key: values.get(key, {}) | sections.get(key, {}) for key in {*values, *sections}}))


def made(path: Path, config: Config, seed: int, classes: tuple[str, ...] = CLASSES) -> Path:
    """A run whose weights are drawn from `seed`, on photos that run.json names."""
    network = build_model(config.model.name, len(classes), config.data.side, seed=seed)
    meta = CheckpointMeta(list(classes), Preprocessing.from_config(config.data), seed, 0.5, 1.0, config, sha256="")
    write_config(path, config)
    save_best(path / "best", tensors_of(network), meta)
    write_facts(path, RunFacts("finished", classes=list(classes)))
    return path


def noted(run: Path, **facts: Any) -> Path:
    write_facts(run, replace(read_facts(run), **facts))
    return run
