"""The whole fault campaign, about 40 minutes on two cores: python benchmarks/faults.py [--seed 0] [--only kills1 …].

--network timm/NAME: faults around the thaw of that network. --everything: the baseline with augmentation, mixing up to
the third epoch, sampling, class weights, averages and selection; faults around the end of mixing. Prints the table of
docs/reliability.md; status 1 when a run was lost or differs.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from leafdist.models.batchnorm import trains_batchnorm
from leafdist.models.build import build_model
from tests.faults.campaign import EVERYTHING, MOMENTS, head_first, make_data
from tests.faults.cases import Cases, Row
from tests.faults.terminals import stops

STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
WAYS = ("tee", "nohup", "terminal")  # 17 of each of five signals


def plan(cases: Cases) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Name and work of each row."""
    for world, anywhere in ((1, 9), (2, 5), (3, 3)):
        yield f"kills{world}", partial(cases.kills, world, anywhere, 4, ("anywhere",))
        for moment in MOMENTS[1:]:
            yield f"kills{world}", partial(cases.kills, world, 2 if world == 1 else 1, 4, (moment,))
    for number in STOPS:
        for world in (1, 2):
            yield f"signals{world}", partial(cases.signals, (number,) * 5, world)
    for way in WAYS:
        for world in (1, 2):
            yield f"terminals{world}", partial(stops, cases.job, way, world, 17, cases.dice)
    for _ in range(2):
        yield "rank", partial(cases.one_rank_killed, 5)
    yield "damage", cases.damage
    yield "worlds", cases.other_worlds
    if os.geteuid() == 0:
        yield "disk", cases.disk_full
        yield "disk", cases.read_only


def plan_switch(cases: Cases, *, batchnorm: bool) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Name and work of each row for a run that changes after its second epoch."""
    for world in (1, 2, 3):
        for moment in ("switch", "anywhere"):
            yield f"kills{world}", partial(cases.kills, world, 2 if world == 1 else 1, 3, (moment,))
    for world in (1, 2):
        yield f"signals{world}", partial(cases.signals, (signal.SIGTERM,) * 3, world, "switch")
    if not batchnorm:  # in training it lets rounding grow: no bound holds
        yield "worlds", cases.other_worlds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="kills1, kills2, kills3, signals1, signals2, rank, damage, …")
    parser.add_argument("--network", help="timm/NAME instead of the baseline, its head first")
    parser.add_argument("--everything", action="store_true", help="all that a recipe can turn on")
    options = parser.parse_args()
    folder, began = Path(tempfile.mkdtemp(prefix="leafdist-faults-")), time.monotonic()
    settings = head_first(options.network, folder) if options.network else EVERYTHING * options.everything
    batchnorm = bool(options.network) and trains_batchnorm(build_model(options.network, 2, 64))
    cases = Cases(folder, make_data(folder), options.seed, settings)
    rows = []
    print("| fault | injected | runs | bit-identical | lost | |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    for name, work in plan_switch(cases, batchnorm=batchnorm) if settings else plan(cases):
        if not options.only or name in options.only:
            rows.append(row := work())
            print(f"| {row.kind} | {row.faults} | {row.runs} | {row.identical} | {row.lost} | {row.note} |", flush=True)
    if not rows:
        parser.error(f"--only {' '.join(options.only)}: there is no such row")
    total = [sum(getattr(row, key) for row in rows) for key in ("faults", "runs", "identical", "lost")]
    print(
        f"| **all** | {' | '.join(map(str, total))} | seed {options.seed}, {(time.monotonic() - began) / 60:.0f} min |"
    )
    if total[-1]:
        print(f"what was lost is kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
