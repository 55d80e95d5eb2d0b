"""Reads the members of an archive in one pass from its first byte to its last: zip, and tar with any compression.

Python's tarfile accepts an archive that was cut, or turns to garbage, between two members, and reads headers of any
size into memory; both are errors here.
"""

import bz2
import calendar
import gzip
import hashlib
import io
import lzma
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from posixpath import dirname, join
from typing import IO, Any, Literal, NamedTuple, Protocol

from leafdist.system import files
from leafdist.system.arguments import extra

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    try:
        from backports import zstd
    except ImportError:  # an extra
        zstd = None  # type: ignore[assignment]

Kind = Literal["file", "folder", "link", "device"]
Compression = Literal["zip", "tar", "gzip", "xz", "bzip2", "zstd"]
MAGIC: dict[bytes, Compression] = {b"PK\3\4": "zip", b"PK\5\6": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2"}
MAGIC |= {b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
BUFFER = 1 << 20
HEADER = 1 << 20  # most bytes of names and other headers before a member's data, and after the last one
BLOCK = tarfile.BLOCKSIZE
AHEAD = 64 * BLOCK  # that tarfile reads, and copies again at each read of its own
LATEST = 2**62  # ns; a file's time must fit into 64 bits
DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RecursionError,
    gzip.BadGzipFile,
)
DAMAGE += (zstd.ZstdError,) if zstd else ()
ENCRYPTED = 1  # bit of a zip member's flags


class _Readable(Protocol):
    """Whatever bytes are read from, one after the other."""

    def read(self, size: int, /) -> bytes: ...


class ArchiveError(ValueError):
    """The archive itself is at fault: no other disk would help."""


class Member(NamedTuple):
    """A member with its name unchecked; read `data` before asking for the next member."""

    name: str
    kind: Kind
    size: int
    mtime_ns: int
    target: str = ""  # of a link
    data: IO[bytes] | None = None  # of a file


class _Hashed(io.RawIOBase):
    """A file read from start to end, with the SHA-256 of what was read."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, path.open("rb", buffering=0)
        self.sha256, self.position = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self.file.readinto(buffer) or 0
        self.sha256.update(memoryview(buffer)[:count])
        self.position += count
        return count

    def close(self) -> None:
        self.file.close()
        super().close()


class _Metered:
    """Reads full buffers from a decompressor, up to byte `until`; keeps the last one."""

    def __init__(self, file: _Readable) -> None:
        self.file, self.count, self.until, self.last = file, 0, 0, b""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or all that are left. Raises tarfile.ReadError beyond `until`."""
        parts = []
        while size and (part := self.file.read(size)):
            parts.append(part)
            size -= len(part)
        self.last = b"".join(parts)
        self.count += len(self.last)
        if self.count > self.until:
            raise tarfile.ReadError(f"more than {HEADER} bytes that belong to no file")
        return self.last

    def allow(self, size: int) -> None:
        self.until = self.count + size + BUFFER

    def holds_zeros(self, offset: int) -> bool:
        """Whether the block at `offset` is all zeros, which marks the end of a tar."""
        start = offset - (self.count - len(self.last))
        return start >= 0 and self.last[start : start + BLOCK] == bytes(BLOCK)


class Archive:
    """An archive of one of these kinds; use `members` and their data inside `reading`. Raises ArchiveError."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size
        self.kind = kind(path)
        self.position = 0  # bytes of the archive that were read
        self.sha256 = ""  # known when all members were read

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn every error that shows a damaged archive into an ArchiveError that names it."""
        try:
            yield
        except DAMAGE as error:
            raise ArchiveError(f"{self.path} is damaged or cut short ({error}). Get it again") from error
        except (NotImplementedError, OSError) as error:  # a compression that we lack; bz2 has no error of its own
            if getattr(error, "errno", None):
                raise
            raise ArchiveError(f"{self.path} cannot be read ({error}). Make it anew with tar") from error

    def bytes_needed(self) -> int:
        """Estimate the bytes on disk: a compressed tar does not tell, but photos hardly shrink."""
        if self.kind != "zip":
            return self.size
        with self.reading(), zipfile.ZipFile(self.path) as file:
            return sum(info.file_size for info in file.infolist())

    def members(self) -> Iterator[Member]:
        """Yield the members in their order."""
        return self._zip() if self.kind == "zip" else self._tar()

    def _tar(self) -> Iterator[Member]:
        with _Hashed(self.path) as raw:
            stream = _Metered(_decompressor(raw, self.kind))
            stream.allow(HEADER)
            tar = tarfile.open(fileobj=stream, mode="r|", bufsize=AHEAD)  # type: ignore[call-overload]  # noqa: SIM115
            while info := tar.next():
                tar.members.clear()  # it would keep all of them, perhaps a million
                stream.allow(info.size)
                yield self._tar_member(tar, info)
                self.position = raw.position
                stream.allow(HEADER)
            if not stream.holds_zeros(tar.offset):
                raise tarfile.ReadError(f"no end mark at byte {tar.offset}")
            while stream.read(AHEAD):  # padding, and the checksum of a compressed one
                pass
            self.position, self.sha256 = raw.position, raw.sha256.hexdigest()

    def _tar_member(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
        what: Kind = "device"
        if info.isreg() and not info.issparse():
            what = "file"
        elif info.isdir():
            what = "folder"
        elif info.issym() or info.islnk():
            what = "link"
        # a hard link names a member, a symbolic one starts at its own folder
        target = join(dirname(info.name), info.linkname) if info.issym() else info.linkname
        data = tar.extractfile(info) if what == "file" else None
        return Member(info.name, what, info.size if data else 0, self._time(info), target, data)

    def _time(self, info: tarfile.TarInfo) -> int:
        """Return the time in ns, exact for --format=posix: packs recognise their photos by it."""
        try:
            stated = Decimal(info.pax_headers.get("mtime", info.mtime)) * 10**9
            return int(min(max(stated, Decimal(0)), Decimal(LATEST)))
        except (ArithmeticError, ValueError) as error:
            raise tarfile.ReadError(f"{info.name!r} has no time") from error

    def _zip(self) -> Iterator[Member]:
        digest = files.sha256(self.path)
        with zipfile.ZipFile(self.path) as file:
            for info in file.infolist():
                if info.flag_bits & ENCRYPTED:
                    raise ArchiveError(f"{self.path}: {info.filename!r} is encrypted. Unpack it with unzip, which asks")
                with file.open(info) as data:
                    yield self._zip_member(info, data)
                self.position += info.compress_size
        self.position, self.sha256 = self.size, digest

    def _zip_member(self, info: zipfile.ZipInfo, data: IO[bytes]) -> Member:
        try:
            time = min(max(calendar.timegm(info.date_time) * 10**9, 0), LATEST)  # the same in every time zone
        except ValueError:  # month 0: none was written
            time = 0
        mode = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir():
            return Member(info.filename, "folder", 0, time)
        if mode == stat.S_IFLNK:
            target = data.read(4096).decode(errors="surrogateescape")
            return Member(info.filename, "link", 0, time, join(dirname(info.filename), target))
        if mode not in (0, stat.S_IFREG):
            return Member(info.filename, "device", 0, time)
        return Member(info.filename, "file", info.file_size, time, data=data)


def kind(path: Path) -> Compression:
    """Tell the kind of an archive by its first bytes, whatever its name. Raises ArchiveError."""
    with path.open("rb") as file:
        start = file.read(BLOCK)
    if found := next((name for magic, name in MAGIC.items() if start.startswith(magic)), None):
        return found
    if start.startswith((b"7z\xbc\xaf", b"Rar!")):
        raise ArchiveError(f"{path} is a 7z or rar archive. Unpack it with `7z x`, then name the folder")
    if start[257:262] == b"ustar":
        return "tar"
    page = "It is a web page, of a login perhaps. " if start.lstrip()[:5].lower() in (b"<!doc", b"<html") else ""
    raise ArchiveError(
        f"{path} is no zip, tar, tar.gz, .xz, .bz2 or .zst: it starts with {start[:16]!r}. {page}Check its source"
    )


def _decompressor(raw: _Hashed, how: str) -> _Readable:
    """Return a stream of the unpacked tar. Raises ValueError where zstd is not installed."""
    file = io.BufferedReader(raw, BUFFER)
    if how == "gzip":
        return gzip.GzipFile(fileobj=file, mode="rb")
    if how in ("xz", "bzip2"):
        return lzma.open(file) if how == "xz" else bz2.open(file)
    if how == "zstd" and zstd is None:
        raise ValueError(f"{raw.path} is a tar.zst: {extra('zstd')} first")
    return zstd.ZstdFile(file, "rb") if how == "zstd" else file
