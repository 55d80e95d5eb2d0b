"""What saving and watching for signals cost, against a run with neither, in turns: python benchmarks/overhead.py DATA.

Prints the ratio of images a second, median over the turns; DATA is a folder of {train,val}/<class>/<photo>.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig, TrainConfig
from leafdist.data import open as sources
from leafdist.distributed.runtime import Runtime
from leafdist.runs import checkpoint
from leafdist.training import trainer
from leafdist.training.model import make_model

TURNS, SAVE_EVERY = 9, 50


def seconds(config: Config, runtime: Runtime, *, guarded: bool) -> float:
    """Seconds of one epoch, with a checkpoint every 50 steps and a check of signals every 4, or with neither."""
    config = replace(config, train=replace(config.train, save_every=SAVE_EVERY if guarded else 0))
    runtime.poll_every = 4 if guarded else 10**9
    loaders = sources.open_loaders(config.data, ("train", "val"), runtime)
    classes = loaders["train"].source.index.classes
    model = make_model(config, classes, runtime)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "metrics.jsonl").touch()
        job = trainer.Trainer(config, model, loaders, runtime, Path(folder))
        began = time.perf_counter()
        job.train_epoch()
        took = time.perf_counter() - began
        job.writer.wait()
        assert not runtime.is_main or guarded == (checkpoint.newest(Path(folder) / "last", print) is not None)
    return took


def main() -> int:
    train = TrainConfig(epochs=1, batch_size=32, precision="no", log_every=10)
    config = resolve(Config(data=DataConfig(root=sys.argv[1]), model=ModelConfig(name="baseline"), train=train))
    runtime = Runtime()
    seconds(config, runtime, guarded=True)
    pairs = [(seconds(config, runtime, guarded=False), seconds(config, runtime, guarded=True)) for _ in range(TURNS)]
    ratios = [without / guarded for without, guarded in pairs]
    runtime.say(f"speed with / without: {statistics.median(ratios):.4f}, median of {TURNS} turns")
    runtime.say(f"{min(ratios):.4f} to {max(ratios):.4f}, {statistics.median(a for a, _ in pairs):.1f} s an epoch")
    runtime.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
