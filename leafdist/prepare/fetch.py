"""A data set from an address or an archive to a folder: downloaded, checked, unpacked safely, in place when whole."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leafdist.prepare import download
from leafdist.system import files, locks, unpack
from leafdist.system.archive import ArchiveError

FORMAT = 1
FOREVER = -1
RECORD = "fetch.json"


def fetch(source: str, dest: Path, sha256: str | None = None, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Make `dest` from `source`: an http(s) or Google Drive address, or a local archive; returns `dest/fetch.json`.

    Run again after an interruption, it goes on; when `dest` holds this source already it does nothing. Raises
    ValueError for a `dest` that holds anything else, a checksum that differs, and whatever download and unpack refuse.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256 := sha256.lower()):
        raise ValueError(f"--sha256 {sha256}: must be 64 hexadecimal digits, as `sha256sum FILE` prints them")
    dest = dest.absolute()
    work = dest.with_name(f".{dest.name}.fetch")
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        lock = locks.hold(dest.with_name(f"{work.name}.lock"), FOREVER, say)
        try:
            record = fetched(source, dest, sha256) or make(source, dest, sha256, work, say)
            Path(lock.lock_file).unlink()  # whoever waits for it finds `dest`
        finally:
            lock.release()
    except OSError as error:
        raise ValueError(f"{dest} cannot be written: {error}. Name another folder") from error
    return record


def fetched(source: str, dest: Path, sha256: str | None) -> dict[str, Any] | None:
    """The record of `dest` where it holds `source` already, None where it is absent or empty. Raises ValueError."""
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return None
    record = dict(files.read_json(dest / RECORD)) if (dest / RECORD).exists() else {}
    if record.get("source") != source or (sha256 or record["sha256"]) != record["sha256"]:
        holds = f"{record['source']} with sha256 {record['sha256']}" if record else "something else"
        raise ValueError(f"{dest} exists and holds {holds}. Remove it, or name another folder")
    return record


def make(source: str, dest: Path, sha256: str | None, work: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Download into `work`, check, unpack beside `dest`, rename."""
    remote = "://" in source
    archive = work / "archive" if remote else Path(source)
    if remote:
        if not source.lower().startswith(("http://", "https://")):
            raise ValueError(f"{source}: must be an http(s) address or a local archive")
        work.mkdir(exist_ok=True)
        download.download(source, archive, say)
    elif not archive.is_file():
        raise ValueError(f"{source}: no such file; it must be an http(s) address or a local archive")
    if sha256 and (found := files.sha256(archive)) != sha256:
        if remote:
            download.discard(archive)
        raise ValueError(f"{source} has sha256 {found}, not {sha256}: damaged or another version. Nothing was kept")
    with files.atomic_folder(dest) as folder:
        try:
            unpacked = unpack.unpack(archive, folder)
        except ArchiveError as error:
            if not remote:
                raise
            download.discard(archive)  # it would be found here again
            raise ArchiveError(f"{source}: {error}") from error
        record = {"format": FORMAT, "source": source, "bytes": archive.stat().st_size, **unpacked._asdict()}
        record["time"] = datetime.now(UTC).isoformat(timespec="seconds")
        files.write_json(folder / RECORD, record)
    shutil.rmtree(work, ignore_errors=True)
    return record
