"""Files that are either complete or absent: write aside, flush to disk, rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leafdist.system.console import say_aside

TEXT: Any = {"encoding": "utf-8", "errors": "surrogateescape"}  # names of files may hold any bytes


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary file name beside `path`; on success flush it to disk and rename it to `path`.

    /dev/stdout, a pipe and other things that are no files are written to directly.
    """
    stream = str(path).startswith(("/dev/std", "/dev/fd/", "/proc/"))  # a link, perhaps to a plain file
    if stream or (path.exists() and not path.is_file() and not path.is_dir()):
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.tmp")  # as temporary_of has it
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_of(name: str, host: str = ".+") -> str:
    """Return the pattern of what a process of `host` that was killed leaves of files whose name matches `name`."""
    return rf"\.(?:{name})\.{host}\.[0-9]+\.tmp"


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`; on success flush it to disk and rename it to `path`, which is absent or empty.

    The caller holds a lock: what a killed process left there is removed first.
    """
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        os.sync()  # a flush for each of 40,000 files takes minutes
        temporary.replace(path)
        flush(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk stays full otherwise
        raise


def flush(path: Path) -> None:
    """Force a file's content, or a folder's list of names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file, complete or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, **TEXT)


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON, complete or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read plain values. Raises ValueError, naming the file, where it holds no JSON."""
    try:
        return json.loads(path.read_text(**TEXT))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: not JSON ({error})") from error


def write_asked(path: Path | None, write: Callable[[Path], object]) -> None:
    """Write a file where the command line asks for one, and say so."""
    if path:
        write(path)
        say_aside(f"wrote {path}")


def read_object(path: Path, **needed: type) -> dict[str, Any]:
    """Read a JSON object with at least these fields of these types. Raises ValueError."""
    value = read_json(path)
    wrong = [
        f"its {name} is no {kind.__name__}"
        for name, kind in needed.items()
        if isinstance(value, dict) and not isinstance(value.get(name), kind)
    ]
    if wrong or not isinstance(value, dict):
        raise ValueError(f"{path} is damaged: {', '.join(wrong) or 'no JSON object'}")
    return value


def read_json_lines(path: Path, last: int | None = None) -> list[dict[str, Any]]:
    """Parse JSON lines (only the last N bytes if given), skipping a line that was torn when its writer was killed."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - last) if last else 0)
        text = file.read().decode("utf-8", errors="replace")
    return [value for line in text.splitlines() if isinstance(value := _value(line), dict)]


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of the content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
