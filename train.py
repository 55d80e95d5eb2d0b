"""Train a leaf-disease classifier.

python train.py --config configs/baseline.yaml
accelerate launch --multi_gpu --num_processes 4 train.py --config configs/resnet50.yaml --data.root /data/splitted
sbatch slurm/train.sbatch --config configs/resnet50.yaml --optim.lr 3e-4
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leafdist.config.parse import parse_config, refusing
from leafdist.config.schema import check_world
from leafdist.system import environment, signals
from leafdist.system.errors import DONE, INTERRUPTED


@signals.heeded()
def main(arguments: Sequence[str] | None = None) -> int:
    """Train as `arguments` (default: sys.argv) say; return the exit status, see docs/reliability.md."""
    config = parse_config(arguments)
    with refusing("train.py"), environment.settled():
        # torch takes seconds to import: a wrong configuration is refused before that
        from leafdist.data.open import counts, data_facts, note_left_out, open_loaders
        from leafdist.distributed.job import run
        from leafdist.distributed.runtime import Runtime
        from leafdist.report import write as report
        from leafdist.runs.folder import RunFolder, continued, unlock_runs
        from leafdist.tracking.run_tracker import open_tracker
        from leafdist.training.model import prepare_model
        from leafdist.training.trainer import Trainer

    with refusing("train.py"):
        given = continued(config)

    def train(runtime: Runtime) -> None:
        check_world(given, runtime.world)
        config = replace(given, train=replace(given.train, precision=runtime.precision))
        loaders = open_loaders(config.data, ("train", "val"), runtime)
        facts = data_facts(loaders)
        model = prepare_model(config, len(facts.classes), facts.data["train"].photos, runtime)
        path = Path(config.run.folder) / str(config.run.name)
        folder = runtime.once(lambda: RunFolder.open(path, config, facts, runtime.say))
        trainer = Trainer(config, model, loaders, runtime, folder.path)
        trainer.resume()
        if trainer.finished and runtime.once(lambda: folder.facts.state) == "finished":
            bounded = config.optim.schedule == "cosine" or config.train.max_steps
            more = "" if bounded else ". A higher train.epochs continues it"
            runtime.say(f"{path} is finished: {trainer.state.step} steps{more}")
            return
        runtime.once(lambda: folder.start(runtime.world, str(runtime.device), trainer.state.step))
        note_left_out(loaders, trainer.layout.set_aside, runtime)
        tracker = open_tracker(
            config,
            folder.path,
            active=runtime.is_main,
            position=trainer.state.position,
            photos=loaders["val"].source.index.folder,
            facts=counts(loaders),
        )
        with folder.ending(tracker, active=runtime.is_main) as finish, runtime.watching(folder.abandon):
            trainer.fit(tracker)
            finish(trainer.state.result())
        if runtime.is_main:
            report.attempt(folder.path, runtime.say)
        runtime.gather(None, patient=True)  # uploads may take longer than a collective
        best = f"best val accuracy {trainer.state.best_accuracy:.4f} in epoch {trainer.state.best_epoch + 1}"
        runtime.say(f"done: {best}. Next: python evaluate.py {path}")

    how = given.train
    status = run(train, precision=how.precision, timeout_minutes=how.timeout_minutes, deterministic=how.deterministic)
    if status in (DONE, INTERRUPTED):
        unlock_runs()
    return status


if __name__ == "__main__":
    signals.ignore()  # outside `main`: a launcher sends one to every rank once the first has left
    sys.exit(main())
