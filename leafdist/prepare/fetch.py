"""Fetches a data set from an address or an archive: downloaded, checked, unpacked safely, renamed when complete."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from leafdist.prepare import download
from leafdist.system import files, locks, plain, unpack
from leafdist.system.archive import ArchiveError

FORMAT = 1
RECORD = "fetch.json"


@dataclass(frozen=True)
class FetchRecord:
    """fetch.json: what a folder was made from; bytes: of the archive; size: of the files; time: when it was made."""

    format: int
    source: str
    bytes: int
    sha256: str
    files: int
    size: int
    time: str


def fetch(source: str, dest: Path, sha256: str | None = None, say: Callable[[str], None] = print) -> FetchRecord:
    """Make `dest` from `source`: an http(s) or Google Drive address, or a local archive.

    Resumes after an interruption, and does nothing where `dest` holds this source already. Raises ValueError where
    `dest` holds anything else, for a checksum that differs, and for whatever download and unpack refuse.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256 := sha256.lower()):
        raise ValueError(f"--sha256 {sha256}: must be 64 hexadecimal digits, as `sha256sum FILE` prints them")
    dest = Path(os.path.realpath(dest))  # a link stays, and what it names is made
    work = dest.with_name(f".{dest.name}.fetch")
    if record := fetched(source, dest, sha256):  # whoever may only read there needs no lock
        return record
    if dest.is_mount():
        raise ValueError(f"{dest} is a mount point, which cannot be replaced. Name a folder in it")
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        lock = dest.with_name(f"{work.name}.lock")
        with locks.alone(lock, say):
            record = fetched(source, dest, sha256) or make(source, dest, sha256, work, say)
            lock.unlink(missing_ok=True)  # whoever waits for it finds `dest`
    except OSError as error:
        raise ValueError(f"{dest} cannot be written: {error}. Name another folder") from error
    return record


def fetched(source: str, dest: Path, sha256: str | None) -> FetchRecord | None:
    """Return the record of `dest` if it holds `source`, None if it is absent or empty. Raises ValueError otherwise."""
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return None
    record = plain.read(FetchRecord, dest / RECORD) if (dest / RECORD).exists() else None
    if record is None or record.source != source or (sha256 or record.sha256) != record.sha256:
        holds = f"{record.source} with sha256 {record.sha256}" if record else "something else"
        raise ValueError(f"{dest} exists and holds {holds}. Remove it, or name another folder")
    return record


def make(source: str, dest: Path, sha256: str | None, work: Path, say: Callable[[str], None]) -> FetchRecord:
    """Download into `work`, check, unpack beside `dest`, rename. Raises ValueError."""
    remote = "://" in source
    archive = work / "archive" if remote else Path(source)
    if remote:
        if not source.lower().startswith(("http://", "https://")):
            raise ValueError(f"{source}: must be an http(s) address or a local archive")
        work.mkdir(exist_ok=True)
        download.download(source, archive, say)
    elif archive.is_dir():
        raise ValueError(f"{source} is a folder: nothing to unpack. Name it in `leafdist audit` and `leafdist split`")
    elif not archive.is_file():
        raise ValueError(f"{source}: no such file; it must be an http(s) address or a local archive")
    elif not os.access(archive, os.R_OK):
        raise ValueError(f"{source} cannot be read by this user: ask its owner for `chmod +r`")
    if sha256 and (found := files.sha256(archive)) != sha256:
        if remote:
            download.discard(archive)
        raise ValueError(f"{source} has sha256 {found}, not {sha256}: damaged or another version. Nothing was unpacked")
    with files.atomic_folder(dest) as folder:
        try:
            unpacked = unpack.unpack(archive, folder)
        except ArchiveError as error:
            if not remote:
                raise
            download.discard(archive)  # the next run would find it again
            raise ArchiveError(f"{source}: {error}") from error
        time = datetime.now(UTC).isoformat(timespec="seconds")
        record = FetchRecord(FORMAT, source, archive.stat().st_size, *unpacked, time)
        files.write_json(folder / RECORD, plain.to_plain(record))
    shutil.rmtree(work, ignore_errors=True)
    return record
