"""pack, stage: ahead of a job, or of its node."""

import argparse
from pathlib import Path
from typing import Any

from leafdist.system import console


def add(commands: Any) -> None:
    pack = commands.add_parser(
        "pack",
        help="decode and resize ROOT/{train,val,test} once, ahead of a job",
        examples=("leafdist pack splitted", "leafdist pack splitted --resize 256 --fit crop --cache /scratch/packs"),
    )
    pack.add_argument("root", metavar="ROOT", type=Path)
    pack.add_argument("--resize", type=int, default=64, help="pixels (default: 64)")
    pack.add_argument(
        "--fit", choices=("stretch", "crop"), default="stretch", help="as data.fit (default: %(default)s)"
    )
    pack.add_argument("--cache", metavar="FOLDER", help="where packs live (default: beside the data)")
    pack.set_defaults(run=pack_data)

    stage = commands.add_parser(
        "stage",
        help="copy data to the node's own disk, or find it there; prints the path",
        examples=("leafdist stage splitted", "leafdist stage splitted.tar --to /scratch/me"),
    )
    stage.add_argument("source", metavar="ROOT|ARCHIVE", type=Path, help="of {train,val,test}/<class>/<photo>")
    stage.add_argument("--to", metavar="FOLDER", type=Path, help="default: $SLURM_TMPDIR, else $TMPDIR")
    stage.set_defaults(run=stage_data)


def pack_data(options: argparse.Namespace) -> None:
    """Prints where the packs lie."""
    from leafdist.data.folds import fold_root
    from leafdist.data.index import scan
    from leafdist.data.pack import cache_folder, ensure_pack
    from leafdist.system.processes import usable_cores

    fold_root(options.root, None)  # packs lie in the folder of a fold
    folder = cache_folder(options.root, options.cache)
    classes = scan(options.root, "train").classes
    rest = [name for name in ("test",) if (options.root / name).is_dir()]  # a training needs none
    for name in ("train", "val", *rest):
        index = scan(options.root, name, classes)
        path = ensure_pack(index, options.resize, folder, usable_cores(), fit=options.fit)
        console.say(str(path))


def stage_data(options: argparse.Namespace) -> None:
    """The path alone goes to the standard output."""
    from leafdist.data.stage import stage

    console.say(str(stage(options.source, options.to, say=console.say_aside)))
