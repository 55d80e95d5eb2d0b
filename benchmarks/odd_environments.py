"""Trains under environment variables drawn at random: python benchmarks/odd_environments.py [--seed 0] [--cases 100].

The weights are the same to the bit, or the run is refused with status 2 and the name of a variable; else status 1.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from subprocess import TimeoutExpired

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.helpers.odd_environment import draw_environment, fault, train_in
from tests.helpers.photos import draw

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, refused, faults = draw(Path(folder) / "splitted", {"train": 20, "val": 4, "test": 1}), 0, 0
        plain = train_in({}, root, "plain")
        for seed in range(options.seed, options.seed + options.cases):
            variables = draw_environment(seed)
            try:
                odd = train_in(variables, root, f"odd{seed}")
                wrong = fault(variables, plain, odd)
                refused += odd.status != 0
            except TimeoutExpired:
                wrong = "it hangs"
            faults += wrong is not None
            print(seed, wrong or f"status {odd.status}", variables if wrong else "", flush=True)
    print(f"{options.cases} environments: {refused} refused, {faults} faults")
    sys.exit(faults > 0)
