"""Class folders to split, and what lies in a folder afterwards."""

from pathlib import Path

from leafdist.data.photos import list_images


def make_raw(root: Path, **classes: int) -> Path:
    """Write so many files per class that stand for photos."""
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number:03}.{'JPG' if number % 2 else 'jpg'}").write_text(f"{name} {number}")
    return root


def names(dest: Path, part: str, name: str) -> list[str]:
    """Return the names of the photos of one class in one split."""
    return [photo.name for photo in list_images(dest / part / name)[0]]


def write_groups(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    """Write a groups file of (class, stem, leaf id) rows."""
    path.write_text("".join("\t".join(row) + "\n" for row in [("class", "stem", "leaf_id"), *rows]))
    return path
