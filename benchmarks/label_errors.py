"""How many planted label errors `leafdist suspects` finds.

python benchmarks/label_errors.py plant RAW NEW --share 0.05 --seed 0     # errors in NEW, listed in NEW.tsv
leafdist split NEW folds --folds 5, train each fold, evaluate each with --split val
python benchmarks/label_errors.py score NEW.tsv 'runs/fold-*'
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np

from leafdist.prepare.raw_layout import find_photos
from leafdist.runs.named import named_runs
from leafdist.suspects.out_of_fold import pool
from leafdist.suspects.suspects import find


def plant(raw: Path, new: Path, share: float, seed: int) -> int:
    """Link the photos of `raw` into `new`, a share of them in a random other class; list these in `new`.tsv.

    Returns how many. A name that the class has already gets a number before it. Both folders are on one file system.
    """
    found, random = find_photos(raw), np.random.default_rng(seed)
    photos = [(label, file) for label, files in found.names.items() for file in files]
    wrong = set(random.choice(len(photos), round(share * len(photos)), replace=False).tolist())
    rows = []
    for label in found.names:
        (new / label).mkdir(parents=True)
    for number, (label, file) in enumerate(photos):
        others = [name for name in found.names if name != label]
        given = others[random.integers(len(others))] if number in wrong else label
        target = new / given / file
        if target.exists():
            target = target.with_name(f"{number}__{file}")
        os.link(found.path((label, file)).resolve(), target)
        if number in wrong:
            rows.append((f"{given}/{target.name}", label))
    with new.with_name(f"{new.name}.tsv").open("w", newline="") as table:
        csv.writer(table, delimiter="\t", lineterminator="\n").writerows([("path", "true"), *rows])
    return len(rows)


def score(planted: Path, runs: list[str]) -> list[tuple[int, float, float, float]]:
    """Return k, precision, recall, and the share of hits whose true class is suggested, for the k worst suspects.

    Recall is of the planted photos that the runs answered.
    """
    with planted.open(newline="") as table:
        true = {row["path"]: row["true"] for row in csv.DictReader(table, delimiter="\t")}
    answers = pool(named_runs(runs))
    suspects, there = find(answers), len(true.keys() & set(answers.paths))
    print(f"{answers.headline(len(suspects))}; planted among them: {there}")
    rows = []
    for k in sorted({min(k, len(suspects)) for k in (50, 100, 200, 500, there // 2, there, len(suspects))} - {0}):
        hits = [one for one in suspects[:k] if one.path in true]
        right = sum(one.suggested == true[one.path] for one in hits)
        rows.append((k, len(hits) / k, len(hits) / max(1, there), right / max(1, len(hits))))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    planting = commands.add_parser("plant")
    planting.add_argument("raw", type=Path)
    planting.add_argument("new", type=Path)
    planting.add_argument("--share", type=float, default=0.05)
    planting.add_argument("--seed", type=int, default=0)
    scoring = commands.add_parser("score")
    scoring.add_argument("planted", type=Path)
    scoring.add_argument("runs", nargs="+")
    options = parser.parse_args()
    if options.command == "plant":
        print(f"{plant(options.raw, options.new, options.share, options.seed)} errors planted")
        return
    print("    k  precision  recall  right class")
    for k, precision, recall, right in score(options.planted, options.runs):
        print(f"{k:5}  {precision:9.3f}  {recall:6.3f}  {right:11.3f}")


if __name__ == "__main__":
    main()
