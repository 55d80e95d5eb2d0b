"""export: the best checkpoint of a run for other programs."""

import argparse
from pathlib import Path
from typing import Any

from leafdist.system import console
from leafdist.system.arguments import listed

FORMATS = ("onnx", "pt2", "safetensors")
MORE = ("litert", "web")  # written if asked for
PRECISIONS = ("fp32", "fp16", "int8")
EXAMPLES = (
    "leafdist export runs/resnet50",
    "leafdist export runs/resnet50 --preprocess --precision fp32,int8",
    "leafdist export runs/resnet50 --formats safetensors --to /srv/models/leaves",
    "leafdist export runs/resnet50 --formats web",
)


def add(commands: Any) -> None:
    """Add the parser of `export`."""
    export = commands.add_parser(
        "export",
        help="write ONNX, torch.export, LiteRT, a page for browsers, with a model card",
        description="Write a run's best checkpoint for other programs; each file is checked against PyTorch.",
        examples=EXAMPLES,
    )
    export.add_argument("folder", metavar="RUN", type=Path, help="a run folder, such as runs/resnet50")
    export.add_argument("--to", metavar="FOLDER", type=Path, help="folder to write (default: RUN/export)")
    export.add_argument(
        "--formats", default=",".join(FORMATS), help=f"formats, separated by commas: {','.join(FORMATS + MORE)}"
    )
    export.add_argument("--precision", default="fp32", help=f"precisions of ONNX: {','.join(PRECISIONS)}")
    export.add_argument("--preprocess", action="store_true", help="take uint8 pixels, crop and normalise inside")
    export.add_argument("--data", metavar="ROOT", help="where the split folders are now (default: as in training)")
    export.add_argument("--calibrate", metavar="FOLDER", type=Path, help="photos for int8 (default: the run's val)")
    export.set_defaults(run=export_run)


def export_run(options: argparse.Namespace) -> None:
    """Write the files and print one or two lines per file."""
    formats = listed("--formats", options.formats, FORMATS + MORE)
    precisions = listed("--precision", options.precision, PRECISIONS)
    from leafdist.distributed.runtime import Runtime
    from leafdist.export import litert_file, onnx_file, web_runtime
    from leafdist.export.export import Export, check_folder
    from leafdist.export.sample_photos import Photos
    from leafdist.export.subject import Subject
    from leafdist.runs.checkpoint import find_best

    folder = options.to or options.folder / "export"
    find_best(options.folder)
    check_folder(folder)
    if {"onnx", "web"} & set(formats):
        onnx_file.check_installed()
    if "litert" in formats:
        litert_file.check_installed()
    if "web" in formats:
        web_runtime.fetched()
    runtime = Runtime()
    subject = Subject.load(options.folder, options.data, inside=options.preprocess)
    photos = Photos(subject.config.data, subject.classes, runtime, options.calibrate)
    Export(subject, folder, photos, console.say).run(formats, precisions)
    console.say(f"wrote {folder / 'README.md'}: the model card")
    runtime.close()
