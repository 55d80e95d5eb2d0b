"""Files of a test: all of a folder, one damaged, archives."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

PHOTOS = {f"leaf/{name}/{number}.jpg": os.urandom(3000) for name in ("Rust, common", "Scab") for number in range(3)}


def tree(root: Path) -> dict[str, bytes]:
    """Return the content of every file below `root`, by its path there."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def flip_byte(path: Path) -> None:
    """Damage a file: flip one bit in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def archived(root: Path) -> Path:
    """Pack a folder into a tar beside it, as docs/data.md says."""
    path = root.parent / f"{root.name}.tar"
    subprocess.run(["tar", "--format=posix", "-C", root.parent, "-cf", path, root.name], check=True)
    return path


def entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """Return the header of one member of a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mtime = size, kind, target, 1_700_000_000
    return info


def tar(*extra: tarfile.TarInfo, photos: dict[str, bytes] = PHOTOS) -> bytes:
    """Return a tar of photos and of `extra` members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in photos.items():
            file.addfile(entry(name, len(content)), io.BytesIO(content))
        for info in extra:
            file.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()
