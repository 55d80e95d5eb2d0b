"""Python and the packages: whether they fit each other, and whether they can be imported."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.system.arguments import installed

CORE = ("torch", "torchvision", "accelerate")
SIMD = "pillow-simd"  # Pillow by another name


def check() -> Iterator[Finding]:
    """Check without importing PyTorch first: it may be what is broken."""
    yield ok("python", f"{platform.python_version()} on {platform.machine()}")
    yield from check_needs()
    yield from check_imports()
    yield check_pillow()


def check_needs() -> Iterator[Finding]:
    """Report what `pip check` finds: a package that is missing, or of a version that another does not work with."""
    command = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=os.environ)
    if not done.stdout:
        yield note("packages", f"pip cannot check them: {done.stderr.strip()[-300:]}", "python -m ensurepip")
        return
    yield from judge(done.stdout.splitlines() if done.returncode else [])


def judge(conflicts: list[str]) -> Iterator[Finding]:
    """Turn the lines of `pip check` into findings: errors where they concern what trains."""
    absent = " requires pillow, which is not installed"
    conflicts = [line for line in conflicts if not (absent in line and installed(SIMD))]
    for line in conflicts:
        kind = error if line.split()[0] in ("leafdist", *CORE) else warning
        yield kind("packages", line.rstrip("."), "pip install what it requires, or another version of it")
    if not conflicts:
        versions = ", ".join(f"{name} {installed(name)}" for name in CORE)
        yield ok("packages", f"{versions}; pip finds nothing missing or in conflict")


def check_imports() -> Iterator[Finding]:
    """Import what has compiled parts: nothing else tells whether these fit each other."""
    for name in CORE:
        try:
            import_module(name)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is the finding
            way = "Install torch and torchvision together: pip install --force-reinstall torch torchvision"
            yield error("packages", f"import {name} fails: {' '.join(str(fault).split())[:300]}", way)
            return


def check_pillow() -> Finding:
    """Say which Pillow decodes the photos; two in one folder overwrite each other."""
    found = {name: installed(name) for name in ("pillow", SIMD) if installed(name)}
    text = " and ".join(f"{name} {number}" for name, number in found.items())
    if len(found) > 1:
        return warning("pillow", f"{text} are both installed, in one folder", "make no-simd, or make simd, leaves one")
    return ok("pillow", f"{text} decodes")
