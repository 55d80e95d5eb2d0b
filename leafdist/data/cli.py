"""pack, stage: decode photos ahead of a job; copy data to the disk of its node."""

import argparse
from pathlib import Path
from typing import Any

from leafdist.config.schema import DataConfig
from leafdist.system import console


def add(commands: Any) -> None:
    """Add the parsers of `pack` and `stage`."""
    pack = commands.add_parser(
        "pack",
        help="decode and resize ROOT/{train,val,test} once, ahead of a job",
        examples=("leafdist pack splitted", "leafdist pack splitted --resize 256 --fit crop --cache /scratch/packs"),
    )
    pack.add_argument("root", metavar="ROOT", type=Path, help="folder with {train,val,test}/<class>/<photo>")
    pack.add_argument("--resize", type=int, default=64, help="pixels per side")
    pack.add_argument("--fit", choices=("stretch", "crop"), default="stretch", help="how a photo becomes square")
    pack.add_argument("--interpolation", choices=("bilinear", "bicubic"), default="bilinear", help="filter of resizing")
    pack.add_argument("--on-corrupt", choices=("error", "quarantine"), default="error", help="as data.on_corrupt")
    pack.add_argument("--max-pixels", type=int, default=DataConfig.max_pixels, help="most pixels of a photo")
    pack.add_argument("--cache", metavar="FOLDER", help="folder of the packs (default: beside the photos)")
    pack.set_defaults(run=pack_data)

    stage = commands.add_parser(
        "stage",
        help="copy data to this node's own disk, unless it is there; print the path",
        examples=("leafdist stage splitted", "leafdist stage splitted.tar --to /scratch/me"),
    )
    stage.add_argument("source", metavar="ROOT|ARCHIVE", type=Path, help="with {train,val,test}/<class>/<photo>")
    stage.add_argument("--to", metavar="FOLDER", type=Path, help="copy there (default: $SLURM_TMPDIR, else $TMPDIR)")
    stage.set_defaults(run=stage_data)


def pack_data(options: argparse.Namespace) -> None:
    """Build the packs of all splits and print their paths. Raises ValueError."""
    from leafdist.data.folds import fold_root
    from leafdist.data.index import scan
    from leafdist.data.layouts import check_split
    from leafdist.data.pack import cache_folder, ensure_pack
    from leafdist.data.photos import SPLITS, list_classes
    from leafdist.data.quarantine import screen
    from leafdist.system.processes import usable_cores

    root, cores, folder = options.root, usable_cores(), cache_folder(options.root, options.cache)
    fold_root(root, None)  # refuses a folder of folds: a pack belongs to one of them
    check_split(root, "train")
    names = [name for name in SPLITS if (root / name).is_dir()]
    if "val" not in names:
        console.say_aside(f"{root} has no val: it will do for data.extra, not for data.root")
    data = DataConfig(root=str(root), on_corrupt=options.on_corrupt, max_pixels=options.max_pixels)
    for name in names:
        index = screen(scan(root, name, list_classes(root / name)), data, folder, cores, console.say_aside)
        how = {"fit": options.fit, "max_pixels": options.max_pixels, "filter_": options.interpolation}
        path = ensure_pack(index, options.resize, folder, cores, say=console.say_aside, **how)
        console.say(str(path))


def stage_data(options: argparse.Namespace) -> None:
    """Copy the data; print the path of the copy, and nothing else, on the standard output."""
    from leafdist.data.stage import stage

    console.say(str(stage(options.source, options.to, say=console.say_aside)))
