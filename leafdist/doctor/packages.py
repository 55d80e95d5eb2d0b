"""Python and the packages: what each of them declares to need, against what is there."""

import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from leafdist.doctor.diagnosis import Finding, error, note, ok, warning

OURS = "leafdist"
CORE = ("torch", "torchvision", "accelerate")
STANDS_FOR = {"pillow": "pillow-simd"}  # the same package by another name


def check() -> Iterator[Finding]:
    """Without PyTorch: it may be what is broken."""
    yield from check_python()
    yield from check_needs()
    yield from check_imports()
    yield check_pillow()


def check_python() -> Iterator[Finding]:
    version, ours = platform.python_version(), find(OURS)
    needed = ours.metadata["Requires-Python"] if ours else None
    if needed and version not in Requirement(f"python {needed}").specifier:
        yield error("python", f"{version}; leafdist needs {needed}", "Make the environment anew with such a Python")
    else:
        yield ok("python", f"{version} on {platform.machine()}")


def check_needs() -> Iterator[Finding]:
    """Every requirement of leafdist, and of what it requires in turn: what pip would refuse to install together."""
    if not find(OURS):
        yield warning(
            "packages", "leafdist runs from a folder, uninstalled: what it needs is not known", "pip install -e ."
        )
        return
    found = False
    for owner, requirement, installed in needs(OURS):
        if installed is None:
            text = f"{owner} needs {requirement}, which is not installed"
        elif not requirement.specifier.contains(installed, prereleases=True):
            text = f"{owner} needs {requirement}, installed is {installed}"
        else:
            continue
        found, grave = True, owner.split()[0] in (OURS, *CORE)
        way = f"pip install '{requirement.name}{requirement.specifier}', or another {owner.split()[0]}"
        yield (error if grave else warning)("packages", text, way)
    if not found:
        versions = ", ".join(f"{name} {one.version}" for name in CORE if (one := find(name)))
        yield ok("packages", f"{versions}; all that they and leafdist need is there")


def check_imports() -> Iterator[Finding]:
    """Compiled parts that do not fit each other are noticed in no other way."""
    for name in CORE:
        try:
            import_module(name)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is the finding
            way = "Install torch and torchvision together: pip install --force-reinstall torch torchvision"
            yield error("packages", f"import {name} fails: {' '.join(str(fault).split())[:300]}", way)
            return


def check_pillow() -> Finding:
    """Which Pillow decodes the photos."""
    plain, simd = _named("pillow"), _named("pillow-simd")
    if plain and simd:
        text = f"Pillow {plain.version} and Pillow-SIMD {simd.version} are both installed, in the same folder"
        return warning("pillow", text, "make no-simd, or make simd, leaves one of them")
    from PIL import __version__, features

    if not features.check("libjpeg_turbo"):
        text = f"Pillow {__version__} is built without libjpeg-turbo: decoding is slow"
        return warning("pillow", text, "pip install --force-reinstall pillow")
    if simd:
        return ok("pillow", f"Pillow-SIMD {__version__} decodes")
    return note("pillow", f"Pillow {__version__} decodes; Pillow-SIMD does so faster", "`make simd`, see docs/data.md")


def needs(root: str) -> Iterator[tuple[str, Requirement, str | None]]:
    """(who, needs what, installed version or None), from `root` on through all that it needs."""
    waiting, seen = [(root, frozenset[str]())], set[tuple[str, frozenset[str]]]()
    while waiting:
        name, extras = waiting.pop(0)
        owner = find(name)
        if owner is None or (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in owner.requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                continue
            there = find(requirement.name)
            yield f"{name} {owner.version}", requirement, there.version if there else None
            waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))


def find(name: str) -> Distribution | None:
    """The package, or the one that stands for it."""
    return _named(name) or _named(STANDS_FOR.get(canonicalize_name(name), name))


def _named(name: str) -> Distribution | None:
    """The one that is imported, the first on sys.path."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
