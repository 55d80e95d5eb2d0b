"""Peak memory of a training process with 40 thousand and with 4 million photos: python benchmarks/memory.py [STEPS].

The index is synthetic and the pack a sparse file of zeros; the trainer, its plan and its loader are the real ones.
"""

import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig
from leafdist.data.index import Index
from leafdist.data.loader import Loader
from leafdist.data.names import Names
from leafdist.data.source import PackSource
from leafdist.distributed.runtime import Runtime
from leafdist.training.model import make_model
from leafdist.training.trainer import Trainer

CLASSES, COUNTS = 33, (40_000, 4_000_000)


def make_index(folder: Path, count: int) -> Index:
    """Kept in a file, as every process of a training has it."""
    per_class, path = -(-count // CLASSES), folder / "index.names"
    script = "import sys; sys.path.insert(0, sys.argv[1]); from benchmarks.memory import write_names; "
    script += "write_names(*sys.argv[2:])"
    subprocess.run([sys.executable, "-c", script, str(ROOT), str(path), str(count)], check=True)
    counts = {f"Crop___disease {number:02}": min(per_class, count - number * per_class) for number in range(CLASSES)}
    labels = (np.arange(count) // per_class).astype(np.int16)
    return Index(folder, tuple(counts), Names.mapped(counts, path), labels, "synthetic", "synthetic")


def write_names(path: str, count: str) -> None:
    """Run in a separate process, so that its memory does not count as the training's."""
    Names.of({"all": [b"%07d photo of a leaf.jpg" % i for i in range(int(count))]}).write(Path(path))


def train(count: int, steps: int) -> float:
    """Peak MiB of this process after so many steps."""
    config = resolve(Config(data=DataConfig(), model=ModelConfig(name="baseline")))
    config = replace(config, train=replace(config.train, save_minutes=1e9))
    runtime = Runtime()
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "train.u8"
        with pack.open("wb") as file:
            file.truncate(count * int(config.data.resize) ** 2 * 3)
        source = PackSource(make_index(Path(folder), count), int(config.data.resize), pack)
        model = make_model(config, [str(label) for label in range(CLASSES)], runtime)
        job = Trainer(config, model, {"train": Loader(source, runtime.device, 0)}, runtime, Path(folder))
        job.train_first(steps)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if len(sys.argv) > 2:
        print(train(int(sys.argv[1]), int(sys.argv[2])))
        return
    steps = sys.argv[1] if len(sys.argv) > 1 else "6"
    peaks = []
    for count in COUNTS:
        command = [sys.executable, __file__, str(count), steps]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout.split()[-1]))
        print(f"{count:,} photos: {peaks[-1]:,.0f} MiB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
