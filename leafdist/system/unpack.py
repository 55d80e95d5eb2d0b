"""Unpacks an untrusted archive: only new files and folders are made, below one folder.

Links are never created, so that no later member can be written through one: a link to a file of the archive becomes a
copy of that file. Owners and modes are not kept.
"""

import os
import re
import shutil
import unicodedata
from pathlib import Path
from posixpath import normpath
from typing import NamedTuple

from leafdist.system import console, signals
from leafdist.system.archive import BUFFER, Archive, ArchiveError, Member

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SMALL = 1 << 20  # archives below it count as that large in the ratio


class Limits(NamedTuple):
    """Limits far above any set of photos, far below what fills a disk or the memory for names."""

    files: int = 5_000_000
    size: int = 4 << 40  # bytes unpacked
    ratio: int = 200  # bytes unpacked per byte of the archive; photos have 1


class Unpacked(NamedTuple):
    """What came out of an archive."""

    sha256: str  # of the archive
    files: int
    size: int  # bytes of the files


def unpack(source: Path, dest: Path, limits: Limits | None = None) -> Unpacked:
    """Unpack `source` into the empty folder `dest`. The caller removes `dest` when this raises.

    Raises ArchiveError, naming the member, for anything but files, folders and links within the archive that have safe
    and distinct names, for damage and for what exceeds `limits`; ValueError where `dest` cannot be written or is full.
    """
    archive = Archive(source)
    unpacker = Unpacker(archive, dest, limits or Limits())
    with console.bar(archive.size, "B", f"unpacking {source.name}") as bar:
        try:
            with archive.reading():
                for member in archive.members():
                    unpacker.add(member)
                    bar.update(archive.position - bar.n)
                    signals.check()
            unpacker.copy_links()
        except OSError as error:
            raise ValueError(
                f"{source} cannot be unpacked into {dest}: {error.strerror}. Fix that, or name another folder"
            ) from error
        bar.update(archive.size - bar.n)
    return Unpacked(archive.sha256, unpacker.files, unpacker.size)


class Unpacker:
    """What was unpacked so far; `names` holds every path by the form in which some file systems would confuse it."""

    def __init__(self, archive: Archive, dest: Path, limits: Limits) -> None:
        self.archive, self.dest, self.limits = archive, dest, limits
        self.names: dict[str, tuple[str, bool]] = {}  # folded to path, whether a folder
        self.links: list[tuple[str, str]] = []
        self.members = self.files = self.size = self.named = 0  # named: letters of names, which are kept

    def refuse(self, reason: str) -> ArchiveError:
        """Return the error that names the archive and the way out."""
        return ArchiveError(f"{self.archive.path}: {reason}. Nothing was kept; if you trust it, unpack it yourself")

    def add(self, member: Member) -> None:
        """Unpack one member, or note a link for `copy_links`. Raises ArchiveError, OSError."""
        self.check_size(member)
        name = self.safe(member.name)
        if member.kind == "device":
            raise self.refuse(f"{member.name!r} is a device, a pipe or a sparse file")
        if name == "." and member.kind == "folder":
            return
        self.claim(name, folder=member.kind == "folder")
        if member.kind == "link":
            self.links.append((name, member.target))
        elif member.data:
            with (self.dest / name).open("xb") as file:
                shutil.copyfileobj(member.data, file, BUFFER)
            os.utime(self.dest / name, ns=(member.mtime_ns, member.mtime_ns))
            self.files += 1

    def check_size(self, member: Member) -> None:
        """Check the limits before unpacking: no more than the stated size of a member is read. Raises ArchiveError."""
        self.members += 1
        self.size += member.size
        self.named += len(member.name) + len(member.target)
        if self.members > self.limits.files:
            raise self.refuse(f"more than {self.limits.files} members")
        if self.size > self.limits.size:
            raise self.refuse(f"unpacks to more than {self.limits.size} bytes")
        if self.size + self.named > self.limits.ratio * max(self.archive.size, SMALL):
            raise self.refuse(f"unpacks to more than {self.limits.ratio} times its own size, as a bomb does")

    def safe(self, name: str) -> str:
        """Return `name` without `.` and `//`. Raises ArchiveError where it could lead out of the folder."""
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise self.refuse(f"the name {name!r} leads, or could lead, out of the folder")
        if not name or CONTROL.search(name):
            raise self.refuse(f"the name {name!r} is empty or holds control characters")
        return normpath(name)

    def claim(self, name: str, *, folder: bool) -> None:
        """Note the name and make its folders. Raises ArchiveError where a known name differs by case or form alone."""
        parent = name.rpartition("/")[0]
        if parent and self.names.get(fold(parent)) != (parent, True):
            self.claim(parent, folder=True)
        known = self.names.get(fold(name))
        if known and known[0] != name:
            raise self.refuse(f"{known[0]!r} and {name!r} differ by case or Unicode form alone")
        if known and known[1] != folder:
            raise self.refuse(f"{name!r} is both a file and a folder")
        if known and not folder:
            raise self.refuse(f"{name!r} is in the archive twice")
        self.names[fold(name)] = name, folder
        if folder and not known:
            (self.dest / name).mkdir()

    def copy_links(self) -> None:
        """Copy the files that links name; called last, since a link may come before its file. Raises ArchiveError."""
        for name, target in self.links:
            inner = normpath(target)
            file = self.dest / inner
            if self.names.get(fold(inner)) != (inner, False) or not file.exists():
                raise self.refuse(f"the link {name!r} names {target!r}, which is no file of the archive")
            status = file.stat()
            self.check_size(Member(name, "file", status.st_size, status.st_mtime_ns))
            shutil.copyfile(file, self.dest / name)
            os.utime(self.dest / name, ns=(status.st_mtime_ns, status.st_mtime_ns))
            self.files += 1


def fold(name: str) -> str:
    """Return a form that is equal for names that a file system may take for one."""
    return name if name.isascii() and name.islower() else unicodedata.normalize("NFC", name).casefold()
