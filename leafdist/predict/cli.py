"""predict: classes of photos, as a table, CSV or JSON lines."""

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
    """Add the parser of `predict`."""
    predict = commands.add_parser(
        "predict",
        help="classify photos",
        description="Classify photos with a run's best checkpoint. Exit status 1 if some could not be read.",
        examples=EXAMPLES,
    )
    predict.add_argument("folder", metavar="RUN", type=Path, help="a run folder, such as runs/resnet50")
    predict.add_argument("paths", metavar="IMAGE|FOLDER", nargs="+", help="photos; -: their names on standard input")
    predict.add_argument("--top", metavar="K", type=int, default=3, help="classes per photo")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--csv", metavar="FILE", type=Path, help="write path,predicted,confidence,... to FILE")
    form.add_argument("--jsonl", action="store_true", help="print one JSON object per line")
    predict.add_argument("--cam", metavar="DIR", type=Path, help="write a picture per photo: where the network looked")
    predict.set_defaults(run=predict_photos)


def predict_photos(options: argparse.Namespace) -> int:
    """Classify and print; return 1 where a photo could not be read."""
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
    paths = photos_below(given_paths(options.paths), report)
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
    """A progress bar; not where answers are printed on the terminal meanwhile."""
    return console.bar(None, "photo", shown=not (options.jsonl and console.on_terminal(sys.stdout)))


def given_paths(words: Iterable[str]) -> Iterator[Path]:
    """Yield the paths that are given; for `-`, the lines of the standard input."""
    for word in words:
        if word == "-":
            yield from (Path(os.fsdecode(line.rstrip(b"\r\n"))) for line in sys.stdin.buffer if line.strip())
        else:
            yield Path(word)


@contextmanager
def sink(options: argparse.Namespace, top: int, *, calibrated: bool) -> Iterator[Take]:
    """Yield what takes each answer: to a CSV file, complete or absent; to JSON lines; or to a table at the end."""
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
    """Yield what writes one row per photo; the file appears once all are written."""
    from leafdist.system import files

    more = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("predicted", "confidence")]
    with (
        files.atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "predicted", "confidence", *more])
        yield lambda answer: writer.writerow([answer.path, *cells(answer)])


def cells(answer: Answer, digits: int = 6) -> list[str]:
    """Return class, probability, class, probability, ..."""
    pairs = zip(answer.classes, answer.probabilities, strict=True)
    return [cell for name, probability in pairs for cell in (name, f"{probability:.{digits}f}")]


def print_json(answer: Answer, *, calibrated: bool) -> None:
    """Print an answer as one JSON object."""
    pairs = zip(answer.classes, answer.probabilities, strict=True)
    top = [{"class": name, "probability": round(probability, 6)} for name, probability in pairs]
    first = {"path": str(answer.path), "predicted": answer.classes[0], "confidence": top[0]["probability"]}
    print(json.dumps(first | {"calibrated": calibrated, "top": top}), flush=True)


def print_table(rows: list[list[object]], top: int) -> None:
    """Print all answers, `top` classes each."""
    ranks = ["", *(f" {rank}" for rank in range(2, top + 1))]
    columns = ["photo", *(f"{name}{rank}" for rank in ranks for name in ("predicted", "confidence"))]
    console.table(columns, rows, shrink="photo")


def save_picture(path: Path, predictor: Predictor, answer: Answer) -> None:
    """Write the picture of where the network looked, as JPEG."""
    from PIL import Image

    from leafdist.system import files

    with files.atomic_path(path) as temporary:
        Image.fromarray(predictor.picture(answer)).save(temporary, "JPEG", quality=90)
