"""What staging is worth when every open of a file is slow: python benchmarks/staging.py ROOT [--delay 2].

ROOT is a folder of {train,val,test}/<class>/<photo>. The slow file system is simulated: a shim (LD_PRELOAD, compiled by
`cc`) sleeps before each open of a file below a copy of ROOT, or of the archives beside it, and changes nothing else:
folders are listed and bytes read at full speed. With TMPDIR=/dev/shm the disk plays no part. Prints a table.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).parents[1]
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
static void slow(const char *path) {
    const char *folder = getenv("SLOW_BELOW");
    if (!folder || strncmp(path, folder, strlen(folder))) return;
    usleep(atoi(getenv("SLOW_US")));
    int log = syscall(SYS_openat, AT_FDCWD, getenv("SLOW_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (write(log, "x", 1) == 1) close(log);
}
#define OPEN(NAME) int NAME(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #NAME); slow(path); return real(path, flags, mode); }
#define OPENAT(NAME) int NAME(int folder, const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
    int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, #NAME); slow(path); \
    return real(folder, path, flags, mode); }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)
"""
READ = """
import sys; from pathlib import Path; from leafdist.data.index import scan
for split in ("train", "val", "test"):
    index = scan(Path(sys.argv[1]), split)
    for name in index.names: (index.folder / name).read_bytes()
"""

PACKS = """
import sys; from pathlib import Path; from leafdist.data.index import scan; from leafdist.data.stage import stage_pack
root = Path(sys.argv[1])
for split in ("train", "val", "test"): stage_pack(scan(root, split), 64, root / ".leafdist", 2)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--delay", type=float, default=2, help="ms an open (default: 2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Bench(options.root, Path(folder), options.delay).run()


class Bench:
    """A "network" folder with a copy of the photos and archives of it, and a "node" folder."""

    def __init__(self, root: Path, work: Path, delay: float) -> None:
        self.network, self.node, self.delay = work / "network", work / "node", delay
        self.shim = work / "shim.so"
        (work / "shim.c").write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.shim, work / "shim.c", "-ldl"], check=True)
        self.root = self.network / "splitted"
        shutil.copytree(root, self.root, ignore=shutil.ignore_patterns(".leafdist"))
        self.files = sum(1 for path in self.root.rglob("*") if path.is_file())

    def run(self) -> None:
        tar: list[str | Path] = ["tar", "--format=posix", "-C", self.network, "-cf"]
        subprocess.run([*tar, self.network / "photos.tar", "splitted"], check=True)
        print(f"{self.files} files, {self.delay} ms added to every open\n")
        print("| what | opens there | seconds |\n| --- | --- | --- |")
        leafdist = ["-m", "leafdist"]
        self.row("read every photo once, one process", "-c", READ, self.root)
        self.row("`leafdist stage FOLDER`, 16 copies at a time", *leafdist, "stage", self.root)
        self.row("the same again: found", *leafdist, "stage", self.root)
        self.row("`leafdist stage ARCHIVE`", *leafdist, "stage", self.network / "photos.tar")
        self.row("the same again: found", *leafdist, "stage", self.network / "photos.tar")
        copy = subprocess.run([sys.executable, *leafdist, "stage", self.network / "photos.tar", "--to", self.node],
                              capture_output=True, text=True, check=True, cwd=REPO).stdout.strip()  # fmt: skip
        self.row("`leafdist pack` of the slow folder", *leafdist, "pack", self.root)
        self.row("packs of the slow folder, staged alone", "-c", PACKS, self.root)
        self.row("the same again: found", "-c", PACKS, self.root)
        self.row("`leafdist pack` of the staged copy", *leafdist, "pack", copy)
        subprocess.run([*tar, self.network / "packed.tar", "splitted"], check=True)
        self.row("`leafdist stage ARCHIVE`, packs in it", *leafdist, "stage", self.network / "packed.tar")

    def row(self, what: str, *command: object) -> None:
        log = self.network.parent / "opens"
        log.write_bytes(b"")
        environment = os.environ | {"LD_PRELOAD": str(self.shim), "SLOW_BELOW": str(self.network)}
        environment |= {"SLOW_US": str(int(self.delay * 1000)), "SLOW_LOG": str(log)}
        environment |= {"SLURM_TMPDIR": str(self.node), "PYTHONPATH": str(REPO)}
        line = [sys.executable, *map(str, command)]
        began = time.perf_counter()
        subprocess.run(line, check=True, env=environment, cwd=REPO, capture_output=True)
        print(f"| {what} | {log.stat().st_size} | {time.perf_counter() - began:.1f} |", flush=True)


if __name__ == "__main__":
    main()
