"""sample-data, fetch, audit, split: from an archive, or nothing, to train, val and test."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leafdist.data.split_report import NEAR
from leafdist.system import console

STYLES = {"ERROR": "red", "warning": "yellow", "verdict": "bold"}  # by the first word of an audit's line


def add(commands: Any) -> None:
    """Add the parsers of `sample-data`, `fetch`, `audit` and `split`."""
    sample = commands.add_parser(
        "sample-data",
        help="draw a small synthetic leaf data set",
        examples=("leafdist sample-data raw", "leafdist sample-data raw --per-class 10 --side 64 --seed 1"),
    )
    sample.add_argument("dest", metavar="DEST", type=Path, help="new folder, of class folders")
    sample.add_argument("--per-class", type=int, default=40, help="photos per class")
    sample.add_argument("--side", type=int, default=256, help="pixels per side")
    sample.add_argument("--seed", type=int, default=0, help="random seed")
    sample.set_defaults(run=sample_data)

    fetch = commands.add_parser(
        "fetch",
        help="download and unpack a data set safely; the same command resumes it",
        examples=("leafdist fetch https://host/leaf.tar.zst raw --sha256 3c2b24d6…", "leafdist fetch leaf.zip raw"),
    )
    fetch.add_argument("source", metavar="SOURCE", help="http(s) or Google Drive address, or a local zip or tar")
    fetch.add_argument("dest", metavar="DEST", type=Path, help="new folder")
    fetch.add_argument("--sha256", metavar="HEX", help="checksum that the archive must have")
    fetch.set_defaults(run=fetch_data)

    audit = commands.add_parser(
        "audit",
        help="find what is wrong with a raw or a split folder of photos",
        examples=("leafdist audit raw --html audit.html", "leafdist audit splitted --groups leaf_ids.tsv --strict"),
    )
    audit.add_argument("root", metavar="ROOT", type=Path, help="folder of class folders, or of {train,val,test}")
    _add_what_is_shared(audit)
    audit.add_argument("--json", metavar="FILE", type=Path, help="write all findings there, with every file name")
    audit.add_argument("--html", metavar="FILE", type=Path, help="write a page with pictures of the findings")
    audit.add_argument("--strict", action="store_true", help="exit with status 1 if there are errors")
    audit.set_defaults(run=audit_data)

    split = commands.add_parser(
        "split",
        help="split raw class folders into DEST/{train,val,test}, 60/20/20",
        examples=(
            "leafdist split raw splitted",
            "leafdist split raw splitted --groups leaf_ids.tsv --groups near --mode hardlink",
            "leafdist split raw splitted --layout crop/disease",
            "leafdist split raw folds --groups near --folds 5",
            "leafdist split field-photos field --groups near --few 10",
            "leafdist split raw splitted --labels labels.tsv",
        ),
    )
    split.add_argument("raw", metavar="RAW", type=Path, help="folder of class folders")
    split.add_argument("dest", metavar="DEST", type=Path, help="new folder")
    split.add_argument(
        "--order", choices=("shuffled", "listed"), default="shuffled", help="listed: by file name, as in the protocol"
    )
    split.add_argument("--seed", type=int, default=0, help="random seed")
    _add_what_is_shared(split)
    split.add_argument("--folds", metavar="K", type=int, help="write DEST/fold-0, ...: a fifth test, the rest K parts")
    split.add_argument(
        "--few", metavar="N", type=int, help="N photos of each class are train, the rest is test: for data.extra"
    )
    split.add_argument("--mode", choices=("copy", "hardlink", "symlink"), default="copy")
    split.set_defaults(run=split_data)


def _add_what_is_shared(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--groups",
        metavar="FILE|near",
        action="append",
        default=[],
        help="leaf ids: a TSV or CSV file of class, stem, leaf_id; near: by file numbers and likeness; both, if given "
        "twice: near for the photos that the file leaves out",
    )
    command.add_argument(
        "--labels",
        metavar="FILE",
        type=Path,
        help="labels.tsv, from `leafdist suspects`: photos that a person looked at, with path, action (keep, move, "
        "drop) and class",
    )
    command.add_argument(
        "--layout",
        metavar="WORDS",
        help="one word per folder level, if the layout is not recognised: class/date, crop/disease, split/class, …; "
        "'class', or 'crop' and 'disease', name the class",
    )


def _groups(given: Sequence[str]) -> tuple[Path | None, bool]:
    """The file of leaf ids, and whether likeness counts. Raises ValueError for two files."""
    several = [name for name in dict.fromkeys(given) if name != NEAR]
    if len(several) > 1:
        raise ValueError(
            f"--groups {' and '.join(several)}: one file at most, and near beside it. Put all rows into one"
        )
    return Path(several[0]) if several else None, NEAR in given


def sample_data(options: argparse.Namespace) -> None:
    """Draw the photos and say what comes next."""
    from leafdist.prepare.sample import draw_sample

    count = draw_sample(options.dest, per_class=options.per_class, side=options.side, seed=options.seed)
    way = console.command("leafdist", "split", options.dest, "splitted")
    console.say(f"wrote {console.counted(count, 'photo')} to {options.dest}. Next: {way}")


def fetch_data(options: argparse.Namespace) -> None:
    """Download and unpack; Ctrl-C keeps what was downloaded."""
    from leafdist.prepare.fetch import fetch

    try:
        record = fetch(options.source, options.dest, options.sha256, say=console.say)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command resumes it") from None
    console.say(
        f"wrote {options.dest}: {console.counted(record.files, 'file')}, {record.size} bytes; archive sha256 "
        f"{record.sha256}. Next: {console.command('leafdist', 'audit', options.dest)}"
    )


def audit_data(options: argparse.Namespace) -> int:
    """Print and write the findings; return 1 if --strict is given and there are errors."""
    from leafdist.prepare.audit.audit import audit
    from leafdist.prepare.audit.audit_report import page
    from leafdist.system import files
    from leafdist.system.processes import usable_cores

    groups, near = _groups(options.groups)
    report = audit(options.root, groups, usable_cores(), near=near, layout=options.layout, labels=options.labels)
    for line in report.text().splitlines():
        console.say(line, STYLES.get(line.split(" ")[0], ""))
    files.write_asked(options.json, lambda path: files.write_json(path, report.json()))
    files.write_asked(options.html, lambda path: files.write_text(path, page(report)))
    return int(options.strict and report.failed)


def split_data(options: argparse.Namespace) -> None:
    """Split, print the counts, and say what comes next."""
    from leafdist.prepare.split import split

    groups, near = _groups(options.groups)
    given = {name: getattr(options, name) for name in ("order", "seed", "folds", "few", "mode", "labels")}
    report = split(options.raw, options.dest, groups=groups, near=near, layout=options.layout, say=console.say, **given)
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in report.totals.items() if count)
    rest = "more of the groups in train" if options.few else "--order listed deals whole shares, as the protocol does"
    console.say(f"wrote {options.dest}: {counts}{f' ({rest})' if report.totals['left_over'] else ''}")
    if found := report.grouping:
        largest = console.counted(found.largest, "photo")
        console.say(
            f"--groups near: {found.groups} groups, the largest of {largest}. Where names have no number, and where a "
            "series was cut, photos of one leaf may still be apart: leaf ids are safer"
        )
    recipe = "field" if options.few else "much-128-cpu"
    train = ["python", "train.py", "--config", f"configs/recipes/{recipe}.yaml", "--data.root", options.dest]
    if options.few:
        train[-2:] = ["--data.root", "splitted", "--data.extra", f"[{options.dest}:0.33]"]
    console.say(f"Next: {console.command(*train, *(['--data.fold', 0] if options.folds else []))}")
