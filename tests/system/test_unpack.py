"""Archives that nobody has vouched for: whole ones arrive as they are, bad ones leave no trace."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leafdist.prepare.fetch import fetch
from leafdist.system import archive as reader
from leafdist.system.unpack import Limits, unpack
from tests.helpers.files import PHOTOS, entry, tar, tree
from tests.helpers.paths import SHARED

zstd: Any = reader.zstd  # type: ignore[attr-defined]


def zipped(*extra: str | zipfile.ZipInfo, content: bytes = b"x", photos: dict[str, bytes] = PHOTOS) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in photos.items():
            file.writestr(name, data)
        for member in extra:
            file.writestr(member, content)
    return buffer.getvalue()


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def encrypted() -> bytes:
    """The flag alone makes readers ask for a password."""
    content = bytearray(zipped())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + offset] |= 1
    return bytes(content)


def overlapping() -> bytes:
    """Fifield's bomb: many entries of the directory share one compressed kernel of zeros."""
    kernel = zipped("kernel", content=bytes(16 << 20), photos={})
    directory, (size, start) = kernel.index(b"PK\1\2"), struct.unpack("<LL", kernel[-10:-2])
    one = kernel[directory : directory + size]
    many = b"".join(one.replace(b"kernel", b"%06d" % number) for number in range(100))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 100, 100, len(many), start, 0)
    return kernel[:directory] + many + end


def garbage_between() -> bytes:
    content = bytearray(tar())
    second = 512 + 3072  # a header, and a photo padded to whole blocks
    content[second : second + 512] = b"\xff" * 512
    return bytes(content)


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def checked() -> bytes:
    """With a checksum, as the program zstd writes it."""
    return bytes(zstd.compress(tar(), options={zstd.CompressionParameter.checksum_flag: 1}))


def header_bomb() -> bytes:
    """100 MiB of a name, which compress to 100 KB."""
    info = entry("a")
    info.pax_headers = {"comment": "x" * (100 << 20)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(info)
    return gzip.compress(buffer.getvalue())


SYM, HARD, CHR, FIFO = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE
FIRST = next(iter(PHOTOS))
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "tar: a name with ../": (lambda: tar(entry("leaf/../../evil", 1)), "out of the folder"),
    "tar: an absolute name": (lambda: tar(entry("/evil", 1)), "out of the folder"),
    "tar: a backslash": (lambda: tar(entry("..\\evil", 1)), "out of the folder"),
    "tar: a control character": (lambda: tar(entry("a\nb", 1)), "control characters"),
    "tar: a link out": (lambda: tar(entry("leaf/l", kind=SYM, target="../../evil")), "no file of the archive"),
    "tar: an absolute link": (lambda: tar(entry("leaf/l", kind=SYM, target="/etc/passwd")), "no file of the archive"),
    "tar: a hard link out": (lambda: tar(entry("leaf/l", kind=HARD, target="../evil")), "no file of the archive"),
    "tar: a file through a link": (
        lambda: tar(entry("sub", kind=SYM, target=".."), entry("sub/evil", 1)),
        "both a file and a folder",
    ),
    "tar: links in a circle": (
        lambda: tar(entry("a", kind=SYM, target="b"), entry("b", kind=SYM, target="a")),
        "no file of the archive",
    ),
    "tar: a device": (lambda: tar(entry("null", kind=CHR)), "device"),
    "tar: a pipe": (lambda: tar(entry("pipe", kind=FIFO)), "device"),
    "tar: two members of one name": (lambda: tar(entry(FIRST, 1)), "is in the archive twice"),
    "tar: two names that differ by case": (lambda: tar(entry(FIRST.replace("jpg", "JPG"), 1)), "differ by case"),
    "tar: two folders that differ by case": (lambda: tar(entry("leaf/scab/9.jpg", 1)), "differ by case"),
    "tar: two Unicode forms": (lambda: tar(entry("caf\u00e9", 1), entry("cafe\u0301", 1)), "Unicode form"),
    "tar: a file that is a folder too": (lambda: tar(entry("leaf", 1)), "both a file and a folder"),
    "tar: cut within a member": (lambda: tar()[:2000], "damaged or cut short"),
    "tar: cut between members": (lambda: tar()[: 512 + 3072], "no end mark"),
    "tar: cut within a header": (lambda: tar()[: 512 + 3072 + 100], "damaged or cut short"),
    "tar: garbage between members": (garbage_between, "no end mark"),
    "tar.gz: cut": (lambda: gzip.compress(tar())[:-100], "damaged or cut short"),
    "tar.gz: a flipped bit": (lambda: flipped(gzip.compress(tar())), "damaged or cut short"),
    "tar.xz: cut": (lambda: lzma.compress(tar())[:-100], "damaged or cut short"),
    "tar.xz: a flipped bit": (lambda: flipped(lzma.compress(tar())), "damaged or cut short"),
    "tar.bz2: cut": (lambda: bz2.compress(tar())[:-100], "damaged or cut short"),
    "tar.bz2: a flipped bit": (lambda: flipped(bz2.compress(tar())), "Invalid data stream|damaged or cut short"),
    "tar.xz: a bomb": (lambda: lzma.compress(tar(entry("zeros", 300 << 20), photos={}), preset=0), "as a bomb does"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(600), "7z or rar archive. Unpack it with `7z x`"),
    "tar.gz: a bomb": (lambda: gzip.compress(tar(entry("zeros", 300 << 20), photos={})), "as a bomb does"),
    "tar.gz: a bomb in a header": (header_bomb, "belong to no file"),
    "tar.gz: a bomb behind the end": (lambda: gzip.compress(tar() + bytes(100 << 20)), "belong to no file"),
    "tar.zst: cut": (lambda: zstd.compress(tar())[:-100], "damaged or cut short"),
    "tar.zst: a flipped bit": (lambda: flipped(checked()), "damaged or cut short"),
    "zip: a name with ../": (lambda: zipped("leaf/../../evil"), "out of the folder"),
    "zip: an absolute name": (lambda: zipped("/evil"), "out of the folder"),
    "zip: a link out": (lambda: zipped(zip_entry("l", stat.S_IFLNK | 0o777), content=b"/etc/passwd"), "no file of the"),
    "zip: a device": (lambda: zipped(zip_entry("null", stat.S_IFCHR | 0o666)), "device"),
    "zip: an encrypted member": (encrypted, "is encrypted"),
    "zip: two members of one name": (lambda: zipped(FIRST), "is in the archive twice"),
    "zip: two names that differ by case": (lambda: zipped(FIRST.upper()), "differ by case"),
    "zip: a bomb": (lambda: zipped("zeros", content=bytes(300 << 20)), "as a bomb does"),
    "zip: a bomb of overlapping members": (overlapping, "damaged|as a bomb does"),
    "zip: cut": (lambda: zipped()[:-100], "damaged or cut short"),
    "zip: a flipped bit": (lambda: flipped(zipped(photos={"a": os.urandom(9000)})), "damaged or cut short"),
    "no archive": (lambda: b"photos", "is no zip, tar"),
    "a web page": (lambda: b"<!DOCTYPE html><title>Sign in</title>", "web page, of a login"),
    "nothing": (lambda: b"", "is no zip, tar"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")  # of zipfile, while it writes one
@pytest.mark.parametrize("kind", BAD)
def test_bad_archive_leaves_no_trace(kind: str, tmp_path: Path) -> None:
    make, message = BAD[kind]
    archive = tmp_path / "in" / "archive"
    archive.parent.mkdir()
    archive.write_bytes(make())
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=message) as refusal:
        fetch(str(archive), tmp_path / "in" / "data")
    assert str(archive) in str(refusal.value)
    (archive.parent / ".data.fetch.lock").unlink()
    assert tree(tmp_path) == before
    assert os.listdir(archive.parent) == ["archive"]  # noqa: PTH208


@pytest.mark.parametrize(
    "pack", [tar, zipped, *(lambda kind=kind: kind.compress(tar()) for kind in (gzip, zstd, lzma, bz2))]
)
def test_every_format_unpacks_whatever_its_name(pack: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "download").write_bytes(pack())
    (tmp_path / "data").mkdir()
    unpacked = unpack(tmp_path / "download", tmp_path / "data")
    assert tree(tmp_path / "data") == PHOTOS
    assert (unpacked.files, unpacked.size) == (len(PHOTOS), sum(map(len, PHOTOS.values())))


@pytest.mark.parametrize(
    ("kind", "target"), [(SYM, "Scab/0.jpg"), (SYM, "../leaf/Scab/0.jpg"), (HARD, "leaf/Scab/0.jpg")]
)
def test_links_within_archive_become_copies(kind: bytes, target: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar(entry("leaf/link.jpg", kind=kind, target=target)))
    (tmp_path / "data").mkdir()
    unpack(tmp_path / "a.tar", tmp_path / "data")
    link = tmp_path / "data" / "leaf" / "link.jpg"
    assert link.read_bytes() == PHOTOS["leaf/Scab/0.jpg"]
    assert not link.is_symlink()
    assert link.stat().st_nlink == 1


@pytest.mark.parametrize(("limits", "message"), [
    (Limits(files=5), "more than 5 members"), (Limits(size=9000), "more than 9000 bytes"),
])  # fmt: skip
@pytest.mark.parametrize("pack", [tar, zipped])
def test_limits_on_count_and_size(limits: Limits, message: str, pack: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(pack())
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match=message):
        unpack(tmp_path / "archive", tmp_path / "data", limits)
    assert sum(map(len, tree(tmp_path / "data").values())) <= 15000


def test_times_are_kept_modes_are_not(tmp_path: Path) -> None:
    info = entry("tool", 1)
    info.mode, info.pax_headers = 0o6777, {"mtime": "1700000000.123456789"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(info, io.BytesIO(b"x"))
    (tmp_path / "data").mkdir()
    unpack(tmp_path / "a.tar", tmp_path / "data")
    status = (tmp_path / "data" / "tool").stat()
    assert status.st_mode & 0o7111 == 0
    assert status.st_mtime_ns == 1_700_000_000_123_456_789


@pytest.mark.real
@pytest.mark.skipif(not (SHARED / "data" / "leaf256.tar").exists(), reason="needs the real photos of ../shared/data")
def test_real_photos_unpack_like_tar(tmp_path: Path) -> None:
    source = SHARED / "data" / "leaf256.tar"
    with tarfile.open(source) as file:
        expected = {info.name: info.size for info in file if info.isfile()}
    (tmp_path / "data").mkdir()
    assert unpack(source, tmp_path / "data").files == len(expected)
    found = {str(p.relative_to(tmp_path / "data")): p.stat().st_size for p in (tmp_path / "data").rglob("*.*")}
    assert found == expected


def test_zip_without_dates_is_unpacked(tmp_path: Path) -> None:
    info = zip_entry("leaf/a.jpg", stat.S_IFREG | 0o644)
    info.date_time = (1980, 0, 0, 0, 0, 0)
    (tmp_path / "a.zip").write_bytes(zipped(info))
    (tmp_path / "data").mkdir()
    unpack(tmp_path / "a.zip", tmp_path / "data")
    assert (tmp_path / "data" / "leaf" / "a.jpg").read_bytes() == b"x"
