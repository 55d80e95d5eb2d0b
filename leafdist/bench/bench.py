"""`leafdist bench`: how fast this machine trains, how fast it could, and what is in between."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from leafdist.bench import device, host
from leafdist.bench.rows import Machine, table, verdict
from leafdist.bench.timing import Case, Row, in_turns
from leafdist.config.schema import Config
from leafdist.data.folds import fold_root
from leafdist.data.open import open_loaders
from leafdist.distributed.runtime import Runtime
from leafdist.prepare.sample import draw_sample
from leafdist.prepare.split import split
from leafdist.system import console, files
from leafdist.system.plain import to_plain
from leafdist.training.graph import choose_graph


class Bench:
    """Measures parts of `config` on this machine; `turns` of about `seconds` each."""

    def __init__(self, config: Config, turns: int, seconds: float) -> None:
        self.runtime = Runtime(precision=config.train.precision)
        self.config = replace(config, train=replace(config.train, precision=self.runtime.precision))
        (loader,) = open_loaders(replace(config.data, source="pack"), ("train",), self.runtime).values()
        self.index = loader.source.index
        self.full_batches = len(self.index) // config.train.batch_size
        if not self.full_batches:
            photos = console.counted(len(self.index), "photo")
            raise ValueError(f"train.batch_size={config.train.batch_size}: the data has {photos}; lower it")
        if config.train.graph == "auto" and choose_graph(config.train, self.runtime.device, console.say) == "always":
            console.say("the CUDA graph of train.graph=auto is left out of these figures: training may be faster")
        if config.augment.background:
            console.say("augment.background is left out of these figures: photos keep their own")
        self.turns, self.seconds = turns, seconds

    def run(self, parts: Sequence[str], out: Path | None) -> None:
        """Print each part, and write it to `out`, as soon as it is known."""
        machine = Machine.of(self.runtime)
        console.say(", ".join(f"{key} {value}" for key, value in vars(machine).items() if value is not None))
        result: dict[str, object] = {"machine": machine, "photos": len(self.index)}
        rows = dict[str, list[Row]]()
        for part in parts:
            result[part] = rows[part] = self.compare(part)
            console.output("\n" + table(part, rows[part]))
            files.write_asked(out, lambda path: files.write_json(path, to_plain(result)))
        if "training" in rows:
            result["verdict"] = lines = verdict(rows["training"], rows.get("loading", []))
            console.output("\n".join(lines))
            files.write_asked(out, lambda path: files.write_json(path, to_plain(result)))

    def compare(self, part: str) -> list[Row]:
        """Measure the cases of a part in turns."""
        most = self.full_batches if part == "training" else None
        threads = torch.get_num_threads()
        if part == "loading":
            torch.set_num_threads(1)
        rows = in_turns(self.cases(part), turns=self.turns, seconds=self.seconds, most=most)
        torch.set_num_threads(threads)
        return rows

    def cases(self, part: str) -> list[Case]:
        """What is compared in a part."""
        config, runtime = self.config, self.runtime
        makers: dict[str, Callable[[], list[Case]]] = {
            "ceiling": lambda: device.ceilings(config, self.index.classes, runtime),
            "training": self.trainings,
            "evaluation": lambda: device.evaluations(config, runtime),
            "loading": lambda: host.loading(config, self.index, runtime, sorted({0, 1, runtime.cpus})),
            "packing": lambda: host.packing(config, self.index, runtime.cpus),
        }
        return makers[part]()

    def trainings(self) -> list[Case]:
        """The ceiling of the configuration as it is, then the trainer from the pack and from the folder."""
        mode = "default" if self.config.train.compile else ""
        data = self.config.data
        ways = {"from the pack": replace(data, source="pack", placement="host")}
        if self.runtime.device.type == "cuda":
            ways["from the pack in its memory"] = replace(data, source="pack", placement="device")
        ways["from the folder"] = replace(data, source="folder")
        return [
            device.ceiling(self.config, self.index.classes, self.runtime, mode),
            *(device.training(replace(self.config, data=way), self.runtime, name) for name, way in ways.items()),
        ]


def bench(config: Config, parts: Sequence[str], turns: int, seconds: float, out: Path | None) -> None:
    """Measure, print, and write `out` as JSON. Draws photos where `data.root` has none."""
    with photos_of(config) as full:
        Bench(full, turns, seconds).run(parts, out)


@contextmanager
def photos_of(config: Config) -> Iterator[Config]:
    """The configuration with the photos of `data.root`, or drawn ones where it has none."""
    root = fold_root(Path(config.data.root), config.data.fold)
    if (root / "train").is_dir():
        yield replace(config, data=replace(config.data, root=str(root), fold=None))
        return
    with tempfile.TemporaryDirectory() as folder:
        raw, root = Path(folder) / "raw", Path(folder) / "splitted"
        console.say(f"data.root={config.data.root}: no photos there; these figures are of drawn ones")
        draw_sample(raw, per_class=60, side=256, seed=0)
        split(raw, root)
        yield replace(config, data=replace(config.data, root=str(root)))
