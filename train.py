"""Train a leaf-disease classifier.

python train.py --config configs/baseline.yaml
accelerate launch --multi_gpu --num_processes 4 train.py --config configs/resnet50.yaml --data.root /data/splitted
sbatch slurm/train.sbatch --config configs/resnet50.yaml --optim.lr 3e-4
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafdist.config.parse import parse_config, refusing
from leafdist.config.schema import Config, check_world
from leafdist.system import signals

if TYPE_CHECKING:
    from leafdist.distributed.runtime import Runtime
    from leafdist.runs.tracker import Tracker


def main(arguments: Sequence[str] | None = None) -> int:
    """Of the command line, unless given. Returns the exit status: see docs/reliability.md."""
    signals.install()
    config = parse_config(arguments)
    from leafdist.distributed.job import run  # torch: imported once the configuration is known to be right
    from leafdist.runs.folder import continued

    with refusing("train.py"):
        config = continued(config)
    status = run(
        lambda runtime: train(config, runtime),
        precision=config.train.precision,
        timeout_minutes=config.train.timeout_minutes,
        deterministic=config.train.deterministic,
    )
    signals.ignore()
    return status


def train(config: Config, runtime: Runtime) -> None:
    """The whole way from a folder of photos to the best checkpoint."""
    from leafdist.data import open as sources
    from leafdist.report import write as report
    from leafdist.runs.folder import RunFolder
    from leafdist.tracking.run_tracker import open_tracker
    from leafdist.training import model as models
    from leafdist.training.trainer import Trainer

    check_world(config, runtime.world)
    config = replace(config, train=replace(config.train, precision=runtime.precision))
    loaders = sources.open_loaders(config.data, ("train", "val"), runtime)
    index = loaders["train"].source.index
    models.describe(config, len(index), runtime)

    model = models.make_model(config.model, len(index.classes), config.data.side, config.seed, runtime)
    models.check_batchnorm(model, config, len(index), runtime.world)
    models.check_sync_batchnorm(model, config, len(index), runtime.world)
    models.describe_batchnorm(model, config, runtime)

    folder = RunFolder(Path(config.run.folder) / str(config.run.name))
    facts = sources.data_facts(loaders)
    runtime.once(lambda: folder.open(config, facts, runtime.say))
    trainer = Trainer(config, model, loaders, runtime, folder.path)

    def track(place: tuple[int, int]) -> Tracker:
        about: dict[str, Any] = {"photos": loaders["val"].source.index.folder, "facts": sources.counts(loaders)}
        return open_tracker(config, folder.path, active=runtime.is_main, place=place, **about)

    trainer.resume()
    if trainer.finished:
        if runtime.once(lambda: folder.record["state"]) != "finished":  # killed at its very end
            with folder.ending(track(trainer.state.place), active=runtime.is_main) as result:
                result.update(trainer.state.result())
            report.attempt(folder.path, runtime)
            runtime.gather(None, patient=True)  # uploads may take longer than a collective
        more = "" if config.optim.schedule == "cosine" or config.train.max_steps else ". More train.epochs would go on"
        runtime.say(f"{folder.path} is finished: {trainer.state.step} steps{more}")
        return

    runtime.once(lambda: folder.start(config, facts, runtime.world, str(runtime.device), trainer.state.step))
    sources.note_set_aside(loaders, folder.path, runtime)  # into a folder that is a run's by now
    tracker = track(trainer.state.place)
    with folder.ending(tracker, active=runtime.is_main) as result, runtime.watching(folder.abandon):
        trainer.fit(tracker)
        result.update(trainer.state.result())
    report.attempt(folder.path, runtime)
    runtime.gather(None, patient=True)
    runtime.say(
        f"done: best val accuracy {trainer.state.best_accuracy:.4f} in epoch {trainer.state.best_epoch + 1}. "
        f"Next: python evaluate.py {folder.path}"
    )


if __name__ == "__main__":
    sys.exit(main())
