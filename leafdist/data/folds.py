"""Folds of a split: `ROOT/fold-0`, … are split folders with the same test photos."""

from pathlib import Path

from leafdist.config.schema import DataConfig
from leafdist.data.photos import check_finished


def fold_name(number: int) -> str:
    """Return the name of the folder of a fold."""
    return f"fold-{number}"


def split_folder(data: DataConfig) -> Path:
    """Return the folder of train, val and test of a configuration, whether it is there or not."""
    return Path(data.root) if data.fold is None else Path(data.root) / fold_name(data.fold)


def fold_numbers(root: Path) -> set[int]:
    """Return the numbers of the folds in a folder; none where it is not here."""
    names = (path.name.removeprefix("fold-") for path in root.glob("fold-*") if path.is_dir())
    return {int(name) for name in names if name.isdecimal() and name == str(int(name))}


def fold_root(root: Path, number: int | None) -> Path:
    """Return the folder of train, val and test: `root` itself, or that of a fold.

    Raises ValueError where there is no such fold, where a fold must be named, and where the split is unfinished.
    """
    check_finished(root)
    folds = sorted(fold_numbers(root))
    if number is None:
        if folds:
            raise ValueError(
                f"{root} holds {len(folds)} folds: say which is val with data.fold={folds[0]} to {folds[-1]}, or name "
                f"{root / fold_name(folds[0])}"
            )
        return root
    if number not in folds:
        there = ", ".join(map(fold_name, folds)) or "none; make them with `leafdist split --folds K`"
        raise ValueError(f"data.fold={number}: {root} has no such fold: it holds {there}")
    return root / fold_name(number)
