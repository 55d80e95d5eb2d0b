"""predict: what a run says of photos."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafdist.system import console

if TYPE_CHECKING:
    from tqdm import tqdm

    from leafdist.predict.predictor import Answer, Predictor

EXAMPLES = (
    "leafdist predict runs/resnet50 leaf.jpg",
    "leafdist predict runs/resnet50 photos --csv answers.csv --cam attention",
    "find . -name '*.jpg' | leafdist predict runs/resnet50 - --jsonl",
)
Take = Callable[["Answer"], None]


def add(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="classify photos",
        description="Classify photos with a run's best checkpoint. Status 1 where some could not be read.",
        examples=EXAMPLES,
    )
    predict.add_argument("folder", metavar="RUN", type=Path, help="a run folder, such as runs/resnet50")
    predict.add_argument("places", metavar="IMAGE|FOLDER", nargs="+", help="photos; -: their names on standard input")
    predict.add_argument("--top", metavar="K", type=int, default=3, help="classes a photo (default: %(default)s)")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--csv", metavar="FILE", type=Path, help="write path,predicted,confidence,... there")
    form.add_argument("--jsonl", action="store_true", help="print an object a line")
    predict.add_argument("--cam", metavar="DIR", type=Path, help="write a picture a photo of where the network looked")
    predict.set_defaults(run=predict_photos)


def predict_photos(options: argparse.Namespace) -> int:
    """1 where a photo could not be read."""
    if options.top < 1:
        raise ValueError(f"--top {options.top}: must be at least 1")
    from leafdist.data.walk import photos_below
    from leafdist.distributed.runtime import Runtime
    from leafdist.predict.predictor import Predictor

    faults = 0

    def report(message: str) -> None:
        nonlocal faults
        faults += 1
        console.warn(message)

    runtime = Runtime()
    predictor = Predictor(options.folder, runtime, console.say_aside)
    paths = photos_below(places(options.places), report)
    top = min(options.top, len(predictor.classes))
    with sink(options, top, calibrated=predictor.calibrated) as take, progress(options) as bar:
        for number, answer in enumerate(predictor.answers(paths, top, report, cam=bool(options.cam)), 1):
            take(answer)
            bar.update()
            if options.cam:
                save_picture(options.cam / f"{number:05}-{answer.path.stem}.jpg", predictor, answer)
    runtime.close()
    return int(faults > 0)


def progress(options: argparse.Namespace) -> tqdm[Any]:
    """How many photos are done; not among lines that are answers themselves."""
    return console.bar(None, "photo", shown=not (options.jsonl and console.on_terminal(sys.stdout)))


def places(given: Iterable[str]) -> Iterator[Path]:
    """`-` stands for the lines of the standard input."""
    for place in given:
        if place == "-":
            yield from (Path(os.fsdecode(line.rstrip(b"\r\n"))) for line in sys.stdin.buffer if line.strip())
        else:
            yield Path(place)


@contextmanager
def sink(options: argparse.Namespace, top: int, *, calibrated: bool) -> Iterator[Take]:
    """Where answers go: a CSV file, whole or absent; JSON lines; or a table at the end."""
    if options.csv:
        with csv_file(options.csv, top) as take:
            yield take
        console.say_aside(f"wrote {options.csv}")
    elif options.jsonl:
        yield lambda answer: print_json(answer, calibrated=calibrated)
    else:
        rows = list[list[object]]()
        yield lambda answer: rows.append([answer.path, *cells(answer, digits=4)])
        print_table(rows, top)


@contextmanager
def csv_file(path: Path, top: int) -> Iterator[Take]:
    """Takes answers, a row a photo; in place once all are written."""
    from leafdist.system import files

    more = [f"{name}_{place}" for place in range(2, top + 1) for name in ("predicted", "confidence")]
    with (
        files.atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "predicted", "confidence", *more])
        yield lambda answer: writer.writerow([answer.path, *cells(answer)])


def cells(answer: Answer, digits: int = 6) -> list[str]:
    """Class, probability, class, probability, ..."""
    pairs = zip(answer.classes, answer.probabilities, strict=True)
    return [cell for name, probability in pairs for cell in (name, f"{probability:.{digits}f}")]


def print_json(answer: Answer, *, calibrated: bool) -> None:
    pairs = zip(answer.classes, answer.probabilities, strict=True)
    top = [{"class": name, "probability": round(probability, 6)} for name, probability in pairs]
    first = {"path": str(answer.path), "predicted": answer.classes[0], "confidence": top[0]["probability"]}
    print(json.dumps(first | {"calibrated": calibrated, "top": top}), flush=True)


def print_table(rows: list[list[object]], top: int) -> None:
    ranks = ["", *(f" {place}" for place in range(2, top + 1))]
    columns = ["photo", *(f"{name}{rank}" for rank in ranks for name in ("predicted", "confidence"))]
    console.table(columns, rows, shrink="photo")


def save_picture(path: Path, predictor: Predictor, answer: Answer) -> None:
    from PIL import Image

    from leafdist.system import files

    with files.atomic_path(path) as temporary:
        Image.fromarray(predictor.picture(answer)).save(temporary, "JPEG", quality=90)
