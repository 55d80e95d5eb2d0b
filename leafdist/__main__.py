"""The `leafdist` command: data and speed before a training, uploads after it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PARTS = ("ceiling", "training", "evaluation", "loading", "packing", "start", "processes")  # of `leafdist bench`


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 2 for wrong input, or 1 where `audit --strict` found errors."""
    parser = build_parser()
    options, settings = parser.parse_known_args(arguments)
    if settings and options.command != "bench":
        parser.error(f"unrecognized arguments: {' '.join(settings)}")
    options.settings = settings
    try:
        status: int | None = options.run(options)
    except (ValueError, OSError) as error:
        print(f"leafdist {options.command}: error: {error}", file=sys.stderr)
        return 2
    return status or 0


def build_parser() -> argparse.ArgumentParser:
    """A subcommand each, with the function that runs it."""
    parser = argparse.ArgumentParser(
        prog="leafdist", description="Before and after training. Training: train.py --help"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add_raw_data(commands)
    add_split_data(commands)

    bench = commands.add_parser(
        "bench", help="measure this machine", usage="leafdist bench [options] [--config FILE] [--section.key VALUE ...]"
    )
    bench.add_argument("--parts", default=",".join(PARTS), help="which, with commas (default: all of %(default)s)")
    bench.add_argument("--turns", type=int, default=5, help="of all that is compared (default: %(default)s)")
    bench.add_argument("--seconds", type=float, default=3, help="a turn (default: %(default)s)")
    bench.add_argument("--json", metavar="FILE", type=Path, help="where to write the figures too")
    bench.set_defaults(run=run_bench)

    sync = commands.add_parser("sync", help="upload to W&B what was tracked offline")
    sync.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run folder, such as runs/resnet50")
    sync.set_defaults(run=sync_runs)
    return parser


def add_raw_data(commands: Any) -> None:
    """From nothing, or an archive, to train, val and test."""
    sample = commands.add_parser("sample-data", help="draw a small synthetic leaf data set")
    sample.add_argument("dest", metavar="DEST", type=Path, help="new folder of raw class folders")
    sample.add_argument("--per-class", type=int, default=40, help="photos a class (default: 40)")
    sample.add_argument("--side", type=int, default=256, help="pixels (default: 256)")
    sample.add_argument("--seed", type=int, default=0)
    sample.set_defaults(run=sample_data)

    fetch = commands.add_parser("fetch", help="download and unpack a data set, safely; run again, it goes on")
    fetch.add_argument("source", metavar="SOURCE", help="http(s) or Google Drive address, or a local zip or tar")
    fetch.add_argument("dest", metavar="DEST", type=Path, help="new folder")
    fetch.add_argument("--sha256", metavar="HEX", help="what the archive must have")
    fetch.set_defaults(run=fetch_data)

    audit = commands.add_parser("audit", help="find what is wrong with a raw or a split folder of photos")
    audit.add_argument("root", metavar="ROOT", type=Path)
    audit.add_argument("--groups", metavar="FILE", type=Path, help="tab-separated class, stem, leaf_id")
    audit.add_argument("--json", metavar="FILE", type=Path, help="where to write everything, with every file's name")
    audit.add_argument(
        "--html", metavar="FILE", type=Path, help="where to write a page with pictures of what was found"
    )
    audit.add_argument("--strict", action="store_true", help="exit status 1 where there are errors")
    audit.set_defaults(run=audit_data)

    split = commands.add_parser("split", help="raw class folders to DEST/{train,val,test}, 60/20/20")
    split.add_argument("raw", metavar="RAW", type=Path, help="folder of class folders")
    split.add_argument("dest", metavar="DEST", type=Path, help="new folder")
    split.add_argument("--order", choices=("shuffled", "listed"), default="shuffled", help="listed: the protocol's")
    split.add_argument("--seed", type=int, default=0)
    split.add_argument(
        "--groups", metavar="FILE|near", help="tab-separated class, stem, leaf_id; near: by likeness and file numbers"
    )
    split.add_argument("--folds", metavar="K", type=int, help="DEST/fold-0, ...: a fifth test, the rest in K parts")
    split.add_argument("--mode", choices=("copy", "hardlink", "symlink"), default="copy", help="default: copy")
    split.set_defaults(run=split_data)


def add_split_data(commands: Any) -> None:
    """Ahead of a job, or of its node."""
    pack = commands.add_parser("pack", help="decode and resize ROOT/{train,val,test} once, ahead of a job")
    pack.add_argument("root", metavar="ROOT", type=Path)
    pack.add_argument("--resize", type=int, default=64, help="pixels (default: 64)")
    pack.add_argument(
        "--fit", choices=("stretch", "crop"), default="stretch", help="as data.fit (default: %(default)s)"
    )
    pack.add_argument("--cache", metavar="FOLDER", help="where packs live (default: beside the data)")
    pack.set_defaults(run=pack_data)

    stage = commands.add_parser("stage", help="copy data to the node's own disk, or find it there; prints the path")
    stage.add_argument("source", metavar="ROOT|ARCHIVE", type=Path, help="of {train,val,test}/<class>/<photo>")
    stage.add_argument("--to", metavar="FOLDER", type=Path, help="default: $SLURM_TMPDIR, else $TMPDIR")
    stage.set_defaults(run=stage_data)


def sample_data(options: argparse.Namespace) -> None:
    from leafdist.data.sample import draw_sample

    count = draw_sample(options.dest, per_class=options.per_class, side=options.side, seed=options.seed)
    print(f"drew {count} photos in {options.dest}. Next: leafdist split {options.dest} splitted")


def split_data(options: argparse.Namespace) -> None:
    """Prints the counts, and what comes next."""
    from leafdist.data.split import NEAR, split

    groups = Path(options.groups) if options.groups and options.groups != NEAR else options.groups
    given = {"order": options.order, "seed": options.seed, "folds": options.folds, "mode": options.mode}
    report = split(options.raw, options.dest, groups=groups, **given)
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in report["totals"].items() if count)
    print(f"wrote {options.dest}: {counts}")
    fold = " --data.fold 0" if options.folds else ""
    print(f"Next: python train.py --config configs/baseline.yaml --data.root {options.dest}{fold}")


def audit_data(options: argparse.Namespace) -> int:
    """1 where --strict is given and there are errors."""
    import os

    from leafdist import files
    from leafdist.audit import audit
    from leafdist.audit.page import page

    report = audit(options.root, options.groups, len(os.sched_getaffinity(0)))
    print(report.text())
    if options.json:
        files.write_json(options.json, report.json())
    if options.html:
        files.write_text(options.html, page(report, options.root))
    return int(options.strict and report.failed)


def pack_data(options: argparse.Namespace) -> None:
    """Prints where the packs lie."""
    import os

    from leafdist.data.folds import fold_root
    from leafdist.data.index import scan
    from leafdist.data.pack import cache_folder, ensure_pack

    fold_root(options.root, None)  # packs lie in the folder of a fold
    folder = cache_folder(options.root, options.cache)
    classes = scan(options.root, "train").classes
    for name in ("train", "val", "test"):
        index = scan(options.root, name, classes)
        print(ensure_pack(index, options.resize, folder, len(os.sched_getaffinity(0)), fit=options.fit))


def fetch_data(options: argparse.Namespace) -> None:
    """Ctrl-C ends it in one line: the same command goes on."""
    from leafdist.fetch import fetch

    try:
        record = fetch(options.source, options.dest, options.sha256)
    except KeyboardInterrupt:
        raise ValueError(f"stopped at {options.dest}; the same command goes on") from None
    print(f"{options.dest} holds {record['files']} files, {record['size']} bytes; archive sha256 {record['sha256']}")


def stage_data(options: argparse.Namespace) -> None:
    """The path alone goes to the standard output."""
    from leafdist.stage import stage

    print(stage(options.source, options.to, say=lambda line: print(line, file=sys.stderr, flush=True)))


def run_bench(options: argparse.Namespace) -> None:
    """Settings are those of train.py."""
    from leafdist.cli import parse_config

    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        raise ValueError(f"--parts {options.parts}: {', '.join(unknown)} unknown; known are {', '.join(PARTS)}")
    config = parse_config(options.settings, "leafdist bench")
    from leafdist.bench import bench  # imports torch

    bench(config, parts, options.turns, options.seconds, options.json)


def sync_runs(options: argparse.Namespace) -> None:
    from leafdist.sync import sync

    if status := sync(options.runs):
        raise SystemExit(status)


if __name__ == "__main__":
    sys.exit(main())
