"""masks: which pixels of each photo are leaf, for other backgrounds in training."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from leafdist.config.schema import DataConfig


def add(commands: Any) -> None:
    """Add the parser of `masks`."""
    masks = commands.add_parser(
        "masks",
        help="cut the leaf out of each photo of ROOT/{train,val,test}, for augment.background and evaluate --swap",
        examples=("leafdist masks splitted --html masks.html", "leafdist masks splitted --resize 256 --fit crop"),
    )
    masks.add_argument("root", metavar="ROOT", type=Path, help="folder with {train,val,test}/<class>/<photo>")
    masks.add_argument("--resize", type=int, default=64, help="pixels per side, as data.resize in training")
    masks.add_argument("--fit", choices=("stretch", "crop"), default="stretch", help="how a photo becomes square")
    masks.add_argument("--on-corrupt", choices=("error", "quarantine"), default="error", help="as data.on_corrupt")
    masks.add_argument("--max-pixels", type=int, default=DataConfig.max_pixels, help="as data.max_pixels")
    masks.add_argument("--cache", metavar="FOLDER", help="folder of the masks (default: beside the photos)")
    masks.add_argument("--html", metavar="FILE", type=Path, help="write a page with outlines of each class")
    masks.set_defaults(run=make_masks)


def make_masks(options: argparse.Namespace) -> None:
    """Make the masks of all splits; print the paths, and how many are trusted. Raises ValueError."""
    from leafdist.system import console, files
    from leafdist.system.arguments import extra

    if find_spec("cv2") is None:
        raise ValueError(f"OpenCV, which cuts leaves out, is not installed: {extra('masks')}")
    if options.resize < 1:
        raise ValueError(f"--resize {options.resize}: must be at least 1")
    from leafdist.data.folds import fold_root
    from leafdist.data.index import scan
    from leafdist.data.layouts import check_split
    from leafdist.data.pack import cache_folder
    from leafdist.data.photos import SPLITS, list_classes
    from leafdist.data.quarantine import screen
    from leafdist.masks.outline_page import headline, page
    from leafdist.masks.split_masks import ensure_masks
    from leafdist.system.processes import usable_cores

    fold_root(options.root, None)  # refuses a folder of folds: masks belong to one of them
    root, cores, chosen = options.root, usable_cores(), ("resize", "fit", "cache", "on_corrupt", "max_pixels")
    data = DataConfig(root=str(root), **{name: getattr(options, name) for name in chosen})
    check_split(root, "train")
    names = [name for name in SPLITS if (root / name).is_dir()]
    classes = scan(root, "train", None if "val" in names else list_classes(root / "train")).classes
    indexes = [scan(root, name, classes) for name in names]
    cache = cache_folder(root, options.cache)
    splits = [ensure_masks(screen(index, data, cache, cores, console.say_aside), data, cores) for index in indexes]
    shares = zip(*(split.by_class for split in splits), strict=True)
    rows = [(name, *(f"{kept}/{every}" for kept, every in each)) for name, each in zip(classes, shares, strict=True)]
    console.table(("class", *(split.index.folder.name for split in splits)), rows, shrink="class")
    console.say(headline(splits))
    for split in splits:
        console.say(str(split.path))
    files.write_asked(options.html, lambda path: files.write_text(path, page(splits, data)))
