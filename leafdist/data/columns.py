"""Reads named columns of a TSV or CSV file that a person wrote or a spreadsheet saved."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


def read_columns(path: Path, names: Sequence[str], *, paths: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line and its values of the columns `names`.

    paths: values may be paths of files, of any bytes, a quote then has a meaning between tabs too, and what follows the
    last column is a remark. Raises ValueError naming the file, and the line where one is wrong.
    """
    errors = "surrogateescape" if paths else "strict"
    try:
        with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
            head = file.readline()
            file.seek(0)
            mark = next((mark for mark in "\t;," if mark in head), "\t")
            plain = mark == "\t" and not paths
            rows = csv.DictReader(file, delimiter=mark, quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL)
            if missing := set(names) - set(rows.fieldnames or ()):
                raise ValueError(
                    f"{path} lacks the column {min(missing)!r}: its first line must be {', '.join(names)}, with "
                    f"tabs, commas or semicolons between them. It is {', '.join(rows.fieldnames or ()) or 'empty'}"
                )
            for row in rows:
                if any(row[name] is None for name in names) or (not paths and any(row.get(None) or ())):
                    fault = "too few fields" if None in row.values() else "too many fields"
                    way = "Use one separator throughout, and quote fields that contain it"
                    raise ValueError(f"{path}, line {rows.line_num}: {fault}. {way}")
                yield rows.line_num, [row[name] for name in names]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): it must be a TSV or CSV in UTF-8. Check the path"
        ) from error


def tab_lines(path: Path, what: str, rule: str) -> Iterator[tuple[str, str]]:
    """Yield where each line that is not blank stands, and the line; what: the setting. Raises ValueError."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise ValueError(f"{what}: {error.strerror}; must be {rule}") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{what}, line {number}", line
