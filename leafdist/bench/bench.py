"""`leafdist bench`: how fast this machine trains, how fast it could, and what is in between."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from leafdist.bench import device as network
from leafdist.bench import host as data
from leafdist.bench import programs
from leafdist.bench import rows as report
from leafdist.bench.timing import Case, Row, in_turns
from leafdist.config.schema import Config
from leafdist.data import open as sources
from leafdist.data.folds import fold_root
from leafdist.distributed.runtime import Runtime
from leafdist.prepare.sample import draw_sample
from leafdist.prepare.split import split
from leafdist.system import files

STEPS = 6  # of a training that is a process of its own


class Bench:
    """Measures parts of `config` on this machine; `turns` of about `seconds` each."""

    def __init__(self, config: Config, turns: int, seconds: float) -> None:
        self.runtime = Runtime(precision=config.train.precision)
        self.config = replace(config, train=replace(config.train, precision=self.runtime.precision))
        (loader,) = sources.open_loaders(replace(config.data, source="pack"), ("train",), self.runtime).values()
        self.index = loader.source.index
        self.full = len(self.index) // config.train.batch_size  # batches of an epoch that are whole
        if not self.full:
            raise ValueError(f"train.batch_size={config.train.batch_size}: only {len(self.index)} photos are there")
        self.turns, self.seconds = turns, seconds
        self.result: dict[str, Any] = {"machine": report.machine(self.runtime), "photos": len(self.index)}

    def run(self, parts: Sequence[str], out: Path | None) -> None:
        """Print, and write into `out`, each part as soon as it is known."""
        print(", ".join(f"{key} {value}" for key, value in self.result["machine"].items()), flush=True)
        rows = {}
        for part in parts:
            rows[part] = self.measure(part)
            self.write(out)
        if "training" in parts:
            self.result["verdict"] = report.verdict(rows["training"], rows.get("loading", []))
            print(*self.result["verdict"], sep="\n")
            self.write(out)

    def write(self, out: Path | None) -> None:
        if out:
            files.write_json(out, json.loads(json.dumps(self.result)))

    def measure(self, part: str) -> list[Row]:
        """Rows of what was compared; none for whole programs, which are noted alone."""
        if part == "start":
            return self.note(part, programs.start_up(self.config, self.turns))
        if part == "processes":
            if self.runtime.device.type == "cuda" and torch.cuda.device_count() < 2:
                return self.note(part, {"left out": "one GPU: two processes need one each"})
            cores = max(2, self.runtime.cpus)
            return self.note(part, programs.processes(self.config, 2, cores, STEPS, self.turns))
        if part == "loading":
            with one_thread():
                return self.compare(part, data.loaders(self.config, self.runtime, self.workers()))
        cases: dict[str, Callable[[], list[Case]]] = {
            "ceiling": lambda: network.ceilings(self.config, len(self.index.classes), self.runtime),
            "training": self.trainings,
            "evaluation": lambda: network.evaluations(self.config, self.runtime),
            "packing": lambda: data.packing(self.config, self.index, self.runtime.cpus),
        }
        return self.compare(part, cases[part]())

    def trainings(self) -> list[Case]:
        """The ceiling of the configuration as it is, then the trainer from the pack and from the folder."""
        mode = "default" if self.config.train.compile else ""
        cases = [network.ceiling(self.config, len(self.index.classes), self.runtime, mode)]
        base = self.config.data
        sources = {"from the pack": replace(base, source="pack", placement="host")}
        if self.runtime.device.type == "cuda":
            sources["from the pack in its memory"] = replace(base, source="pack", placement="device")
        sources["from the folder"] = replace(base, source="folder")
        for name, section in sources.items():
            cases.append(network.training(replace(self.config, data=section), self.runtime, name))
        return cases

    def workers(self) -> list[int]:
        return sorted({0, 1, self.runtime.cpus})

    def compare(self, part: str, cases: list[Case]) -> list[Row]:
        most = self.full if part == "training" else None
        rows = in_turns(cases, turns=self.turns, seconds=self.seconds, most=most)
        self.result[part] = report.as_json(rows)
        print("\n" + report.table(part, rows), flush=True)
        return rows

    def note(self, part: str, values: dict[str, Any]) -> list[Row]:
        self.result[part] = values
        print("\n" + "\n".join([f"{part}:", *(f"  {name}: {value}" for name, value in values.items())]), flush=True)
        return []


def bench(config: Config, parts: Sequence[str], turns: int, seconds: float, out: Path | None) -> None:
    """Measure, print, and write `out` as JSON. Draws photos where `data.root` has none."""
    with photos_of(config) as full:
        Bench(full, turns, seconds).run(parts, out)


@contextmanager
def photos_of(config: Config) -> Iterator[Config]:
    """With the photos of `data.root`, or drawn ones where it has none."""
    root = fold_root(Path(config.data.root), config.data.fold)
    if (root / "train").is_dir():
        yield replace(config, data=replace(config.data, root=str(root), fold=None))
        return
    with tempfile.TemporaryDirectory() as folder:
        raw, root = Path(folder) / "raw", Path(folder) / "splitted"
        print(f"data.root={config.data.root}: no photos there; these figures are of drawn ones", flush=True)
        draw_sample(raw, per_class=60, side=256, seed=0)
        split(raw, root)
        yield replace(config, data=replace(config.data, root=str(root)))


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
