"""A training, from the command line to the exit status."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from leafdist.config.changes import extendable
from leafdist.config.parse import parse_config, refusing
from leafdist.config.resolve import check_world
from leafdist.config.schema import Config
from leafdist.system import console, environment, signals, streams

if TYPE_CHECKING:
    from leafdist.training.state import TrainState

MORE = ". A higher {} continues it"


def to_go_on(config: Config, state: "TrainState", steps: int) -> str:
    """Name what continues a run that is finished, of `steps` at most; nothing where nothing does."""
    from leafdist.training.selection import no_better  # torch

    complete, stopped = state.step >= steps, no_better(config.train, state.epoch, state.best_epoch) is not None
    if complete and (not extendable(config) or state.step == config.train.max_steps):
        return ""
    return MORE.format(" with a higher ".join(["train.epochs"] * complete + ["train.patience"] * stopped))


@signals.heeded()
def main(arguments: Sequence[str] | None = None, prog: str = "train.py") -> int:
    """Train as `arguments` (default: sys.argv) say; return the exit status, see docs/reliability.md."""
    streams.outlive()
    config = parse_config(arguments, prog)
    with refusing(prog):
        environment.settle_and_import()
        # torch takes seconds to import: a wrong configuration is refused before that
        from leafdist.data.open import counts, note_left_out
        from leafdist.data.roots import epoch_rows, open_training
        from leafdist.distributed.job import run
        from leafdist.distributed.runtime import Runtime
        from leafdist.report import write as report
        from leafdist.runs.advice import advise, warn_of_large_batch
        from leafdist.runs.folder import RunFolder, check_run, continued, unlock_runs
        from leafdist.tracking.run_tracker import open_tracker
        from leafdist.training.model import config_to_build, digest_of_start, for_device, prepare_model
        from leafdist.training.trainer import Trainer

        given = continued(config)

    def train(runtime: Runtime) -> None:
        """Train as one of the processes of the launch."""
        check_world(given, runtime.world)
        config = for_device(given, runtime)
        path = Path(config.run.folder) / str(config.run.name)
        runtime.once(lambda: check_run(path, config))
        loaders, facts = open_training(config, runtime)
        to_build = runtime.once(lambda: config_to_build(config, path))
        model, head = prepare_model(to_build, facts.classes, epoch_rows(config, facts.data["train"].photos), runtime)
        folder = runtime.once(lambda: RunFolder.open(path, config, facts, runtime.say))
        trainer = Trainer(config, model, loaders, runtime, folder.path, class_weights=facts.class_weights)
        trainer.resume()
        complete = trainer.finished or runtime.once(lambda: folder.is_complete(trainer.why_over))
        if complete and (known := runtime.once(lambda: folder.facts)).state == "finished":
            more = to_go_on(config, trainer.state, trainer.total_steps) if trainer.finished else ""
            runtime.say(f"{path} is finished: {trainer.why_over(trainer.state.step or known.steps or 0)}{more}")
            unlock_runs()
            return
        warn_of_large_batch(config.train.batch_size, trainer.rows, trainer.total_steps, runtime.world, runtime.say)
        step = trainer.state.step
        runtime.once(lambda: folder.start(runtime.world, str(runtime.device), step, head, digest_of_start(to_build)))
        make_tracker = partial(open_tracker, config, path, active=runtime.is_main, position=trainer.state.position)
        make_tracker = partial(make_tracker, photos=loaders["val"].source.index.folder, facts=counts(loaders))
        with (
            folder.record_end(partial(runtime.everywhere, make_tracker), active=runtime.is_main) as (tracker, finish),
            runtime.watching(folder.abandon),
        ):
            note_left_out(loaders, trainer.layout.set_aside, runtime)
            trainer.fit(tracker)
            finish(trainer.state.result())
        if runtime.is_main:
            report.attempt(folder.path, runtime.say)
            advise(folder.path, runtime.say)
        runtime.gather(None, patient=True)  # uploads may take longer than a collective
        evaluate = "python evaluate.py" if prog == "train.py" else "leafdist evaluate"
        runtime.say(f"done: {trainer.state.best_text(config.train.select)}. Next: {evaluate} {console.command(path)}")
        unlock_runs()

    how = given.train
    return run(train, precision=how.precision, timeout_minutes=how.timeout_minutes, deterministic=how.deterministic)
