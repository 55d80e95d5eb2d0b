"""Is bf16 faster than fp32 here, by network: python benchmarks/precision.py NAME [NAME …] [--batch 32 64] [--crop 128].

Each network trains on one constant batch in fp32 and in bf16, channels_last, in turns: what `train.precision=auto` can
rely on.
"""

import argparse
from dataclasses import replace

from leafdist.bench.device import ceiling
from leafdist.bench.timing import in_turns
from leafdist.config.parse import parse_config
from leafdist.distributed.runtime import Runtime

CLASSES = [str(label) for label in range(33)]


def main() -> None:
    """Print one row of a table per network and batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="values of model.name")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    runtime = Runtime()
    print("| network, batch | fp32, photos/s | bf16 | bf16 over fp32 |\n| --- | --- | --- | --- |")
    for name in options.names:
        for batch in options.batch:
            flags = ["--model.name", name, "--model.weights", "none", "--train.batch_size", str(batch)]
            sizes = ["--data.resize", str(options.crop), "--data.crop", str(options.crop)]
            config = parse_config([*flags, *sizes], "precision.py")
            cases = []
            for precision in ("no", "bf16"):
                own = replace(config, train=replace(config.train, precision=precision))
                cases.append(ceiling(own, CLASSES, runtime))
            fp32, bf16 = in_turns(cases, turns=options.turns, seconds=options.seconds)
            print(f"| {name}, {batch} | {fp32.rate:.1f} | {bf16.rate:.1f} | {bf16.ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
