"""Promise 1 for two networks of timm, their heads first: how far 2 and 3 processes, and micro-batches, are from one.

python benchmarks/worlds.py [--forms 0 1 …]  # a table of docs/reliability.md; 12 steps of 64 pixels, the thaw after six
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.distributed.test_world import train
from tests.faults.campaign import head_first
from tests.helpers.photos import CLASSES, draw
from tests.helpers.programs import run_program

ATTO, LITE = "timm/convnext_atto", "timm/tf_efficientnet_lite0"
CUTS = {ATTO: ((2, 1), (3, 1), (1, 3), (3, 3)), LITE: ((2, 1), (3, 1))}  # micro-batches cut BatchNorm's statistics too
FORMS = (  # of batches of 8, 17 photos leave one alone in the last, of which BatchNorm sees four values a channel
    (ATTO, 17, "sgd", "float64"),
    (ATTO, 17, "sgd", "float32"),
    (ATTO, 17, "adam", "float64"),
    (LITE, 24, "sgd", "float64"),
    (LITE, 24, "sgd", "float32"),
    (LITE, 17, "sgd", "float64"),
    (LITE, 17, "sgd", "float32"),
)


def measure(name: str, count: int, optimizer: str, dtype: str) -> None:
    """Print a row for each cut: the largest difference of a loss, and of a weight after the last step."""
    with tempfile.TemporaryDirectory(prefix="leafdist-worlds-") as folder:
        photos = draw(Path(folder) / "splitted", {"train": -(-count // 3), "val": 3, "test": 3})
        for path in sorted((photos / "train" / CLASSES[2]).iterdir())[count // 3 :][: -count % 3]:
            path.unlink()
        more = ("--model.weights", "auto", "--train.sync_batchnorm", "true", *head_first(name, Path(folder)))
        run = partial(train, partial(run_program, Path(folder)), photos, optimizer, dtype, model=name, more=more)
        one = run()
        for world, accumulate in CUTS[name]:
            other = run(world=world, accumulate=accumulate)
            assert (other.rows, other.masks, other.rates) == (one.rows, one.masks, one.rates)
            loss, weight = one.furthest(other)
            row = f"{name} | {count} | {optimizer}, {dtype} | {world} | {accumulate} | {loss:.0e} | {weight:.0e}"
            print(f"| {row} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forms", type=int, nargs="+", default=range(len(FORMS)), help="which of them, from 0 on")
    print("| network | photos | arithmetic | processes | accumulate | loss | weight |\n|" + " --- |" * 7)
    for number in parser.parse_args().forms:
        measure(*FORMS[number])
    return 0


if __name__ == "__main__":
    sys.exit(main())
