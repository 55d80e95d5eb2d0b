"""leafdist predict: classify photos with a run."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from leafdist.system import console

EXAMPLES = (
    "leafdist predict runs/resnet50 leaf.jpg",
    "leafdist predict runs/resnet50 photos --csv answers.csv --cam attention",
    "leafdist predict runs/resnet50 photos --refuse",
    "find . -name '*.jpg' | leafdist predict runs/resnet50 - --jsonl",
)


def add(commands: Any) -> None:
    """Add the parser of `leafdist predict`."""
    predict = commands.add_parser(
        "predict",
        help="classify photos",
        description="Classify photos with a run's best checkpoint. Exit status 1 if some could not be read.",
        examples=EXAMPLES,
    )
    predict.add_argument("folder", metavar="RUN", type=Path, help="a run folder, such as runs/resnet50")
    predict.add_argument("paths", metavar="IMAGE|FOLDER", nargs="+", help="photos; -: their names on standard input")
    predict.add_argument("--top", metavar="K", type=int, default=3, help="classes per photo")
    predict.add_argument("--max-pixels", type=int, help="most pixels of a photo (default: as in training)")
    predict.add_argument("--refuse", action="store_true", help="mark answers that should not be trusted")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--csv", metavar="FILE", type=Path, help="write path,predicted,confidence,... there")
    form.add_argument("--jsonl", action="store_true", help="print one JSON object per photo")
    predict.add_argument("--cam", metavar="DIR", type=Path, help="write pictures of where the network looked")
    predict.set_defaults(run=predict_photos)


def predict_photos(options: argparse.Namespace) -> int:
    """Return the exit status: 1 if a photo could not be read."""
    if options.top < 1:
        raise ValueError(f"--top {options.top}: must be at least 1")
    from leafdist.data.photos import in_words
    from leafdist.data.walk import photos_below
    from leafdist.distributed.runtime import Runtime
    from leafdist.predict import output
    from leafdist.predict.predictor import Predictor
    from leafdist.runs.load import load_run

    faults = list[str]()

    def report(message: object) -> None:
        faults.append(str(message))
        console.warn(str(message))

    runtime = Runtime()
    loaded, refuse = load_run(options.folder, runtime.device), options.refuse
    predictor = Predictor(loaded, runtime.device, runtime.cpus, options.max_pixels, refuse=refuse)
    if options.cam and not predictor.network.last_map:
        raise ValueError(f"--cam: {predictor.network.name} has no feature map to show, only tokens. Leave --cam out")
    for notice in predictor.notices:
        console.say_aside(notice)
    top = min(options.top, len(predictor.classes))
    if options.csv:
        sink = output.csv_file(options.csv, top, refuse=refuse)
    elif options.jsonl:
        sink = output.json_lines(calibrated=predictor.calibrated, refuse=refuse)
    else:
        sink = output.table(top, refuse=refuse)
    others = Counter[str]()
    photos = photos_below(given(options.paths), report, others)
    answers = predictor.answers(photos, top, report, cam=bool(options.cam))
    shown = not (options.jsonl and console.on_terminal(sys.stdout))  # not among lines that are answers themselves
    with sink as take, console.bar(None, "photo", shown=shown) as bar:
        for number, answer in enumerate(answers, 1):
            take(answer)
            bar.update()
            if options.cam:
                picture = options.cam / f"{number:05}-{answer.path.stem[:40]}.jpg"
                output.save_picture(picture, predictor.picture(answer))
    if others:
        console.say_aside(f"skipped, since they are no photos: {in_words(others)}")
    if options.cam and bar.n:
        console.say_aside(f"wrote {console.counted(bar.n, 'picture')} to {options.cam}")
    runtime.close()
    return int(bool(faults))


def given(names: Iterable[str]) -> Iterator[Path]:
    """Yield the paths that are named; `-` stands for the lines of the standard input."""
    for name in names:
        if name == "-":
            yield from (Path(os.fsdecode(line.rstrip(b"\r\n"))) for line in sys.stdin.buffer if line.strip())
        else:
            yield Path(name)
