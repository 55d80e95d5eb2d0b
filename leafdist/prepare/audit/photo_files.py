"""Faults of single files."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from PIL import Image

from leafdist.data.decode import MODES, SIXTEEN
from leafdist.prepare.audit.finding import Finding, Level, alone
from leafdist.prepare.audit.folder_listing import Listing
from leafdist.prepare.features import Facts

TINY = 32  # pixels of the shorter side
HUGE = 24_000_000  # pixels: decoding takes as long as that of 300 photos of 256x256
USUAL = 0.9  # share of photos from which a size is the usual one


class Rule(NamedTuple):
    """remark: what to say of a photo at fault, from its path and facts; empty for the others."""

    kind: str
    level: Level
    text: str
    remark: Callable[[str, Facts], str]


def check_files(listing: Listing, facts: Sequence[Facts]) -> list[Finding]:
    """One finding a kind of fault, with every file that has it."""
    paths = [photo.path for photo in listing.photos]
    usual, share = _usual_size(facts)
    rules = [
        Rule("undecodable", "error", "cannot be decoded", lambda _, f: "" if "truncated" in f.fault else f.fault),
        Rule("truncated", "error", "end too early", lambda _, f: f.fault if "truncated" in f.fault else ""),
        Rule("refused mode", "error", "have colours that training refuses", _refused),
        Rule("wrong ending", "warning", "have the ending of another format", _wrong_ending),
        Rule("tiny", "warning", f"have a side below {TINY} pixels", _tiny),
        Rule("huge", "warning", f"have more than {HUGE // 10**6} million pixels: slow to decode", _huge),
        Rule("EXIF rotation", "note", "are turned by EXIF: leafdist obeys, other programs may not", _turned),
        Rule(
            "colour mode", "note", "are not RGB", lambda _, f: f.mode if f.mode in (MODES | SIXTEEN) - {"RGB"} else ""
        ),
    ]
    if share >= USUAL:
        text = f"are not {usual[0]}x{usual[1]} pixels, as {share:.1%} are"
        rules.append(Rule("odd size", "note", text, lambda _, f: _size(f) if f.width and _shape(f) != usual else ""))
    else:
        text = "are not square: the resize does not keep their proportions"
        rules.append(Rule("not square", "note", text, lambda _, f: _size(f) if f.width != f.height else ""))
    findings = [_collect(rule, paths, facts) for rule in rules]
    if listing.others:
        text = f"{len(listing.others)} entries are no photos by their names, or hidden: they are passed over"
        findings.append(Finding("other entries", "note", text, alone(listing.others)))
    return [finding for finding in findings if finding.files]


def _collect(rule: Rule, paths: Sequence[str], facts: Sequence[Facts]) -> Finding:
    remarks = {path: remark for path, found in zip(paths, facts, strict=True) if (remark := rule.remark(path, found))}
    text = f"{len(remarks)} photos {rule.text}"
    return Finding(rule.kind, rule.level, text, alone([*remarks]), [*remarks.values()])


def _usual_size(facts: Sequence[Facts]) -> tuple[tuple[int, int], float]:
    """The most frequent width and height, and the share of photos that have them."""
    sizes = Counter(_shape(found) for found in facts if found.width)
    if not sizes:
        return (0, 0), 0.0
    usual, count = sizes.most_common(1)[0]
    return usual, count / sizes.total()


def _shape(facts: Facts) -> tuple[int, int]:
    return facts.width, facts.height


def _size(facts: Facts) -> str:
    return f"{facts.width}x{facts.height}"


def _wrong_ending(path: str, facts: Facts) -> str:
    expected = Image.registered_extensions().get(PurePath(path).suffix.lower())
    formats = {"MPO": "JPEG"}  # several JPEGs in one file, as phones write them
    found = formats.get(facts.format, facts.format)
    return f"is {found}" if found and expected and found != expected else ""


def _refused(_: str, facts: Facts) -> str:
    return facts.mode if facts.mode and facts.mode not in MODES | SIXTEEN else ""


def _tiny(_: str, facts: Facts) -> str:
    return _size(facts) if facts.width and min(_shape(facts)) < TINY else ""


def _huge(_: str, facts: Facts) -> str:
    return _size(facts) if facts.width * facts.height > HUGE else ""


def _turned(_: str, facts: Facts) -> str:
    return f"orientation {facts.orientation}" if facts.orientation in range(2, 9) else ""
