"""Runs all checks on a folder of photos and concludes what an accuracy on it can mean."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leafdist.data.groups import LeafIds, leaf_of, read_groups, unknown_classes
from leafdist.data.labels import read_labels
from leafdist.prepare.audit import leakage
from leafdist.prepare.audit.audit_report import Report
from leafdist.prepare.audit.decided import decide
from leafdist.prepare.audit.duplicates import check_duplicates, find_twins
from leafdist.prepare.audit.faults import check_classes, check_files, count
from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.folder_listing import Photo, list_folder
from leafdist.prepare.audit.leakage import Seen
from leafdist.prepare.audit.shortcuts import Probe, check_shortcuts, probe_redrawn, probe_shortcuts
from leafdist.prepare.features import read_features
from leafdist.prepare.grouping import by_leaf_or_number
from leafdist.prepare.near import Ints, chains, join

LEVELS = ("error", "warning", "note")


def audit(
    root: Path,
    groups: Path | None = None,
    workers: int = 1,
    *,
    near: bool = False,
    layout: str | None = None,
    labels: Path | None = None,
) -> Report:
    """Read every photo of a raw or a split folder once, with `workers` processes, and check it.

    near: also look for leaves on two sides among photos without an id, as `leafdist split --groups near` does. layout:
    of a raw folder, see `find_photos`. labels: a labels.tsv. Raises ValueError for a folder without photos, or a file
    that cannot be read.
    """
    start = time.monotonic()
    listing = list_folder(root, layout)
    ids: LeafIds = read_groups(groups) if groups else {}
    unknown = unknown_classes(ids, listing.labels, groups) if groups else []
    photos = listing.photos
    if groups and not any(leaf_of(ids, photo.label, photo.file) for photo in photos):
        raise ValueError(
            f"{groups} names none of the {len(photos)} photos of {root}: `stem` is a name without its ending"
        )
    decided, rows = decide(photos, set(listing.labels), labels, read_labels(labels)) if labels else ({}, [])
    features = read_features([listing.root / photo.path for photo in photos], workers)
    twins = find_twins(features, workers)
    pairs = chains(leakage.leaves_of(photos, ids).values()), chains(twins.equal), chains(twins.near)
    neighbours = leakage.neighbours_in_train(photos, _groups(photos, ids, pairs), ids) if near else None
    tied = join(len(photos), np.concatenate(pairs))
    probes = probe_shortcuts(photos, features, tied)
    redrawn = probe_redrawn(listing.root, photos, features, tied)
    findings = [
        *check_files(listing, features.facts),
        *check_classes(listing),
        *check_duplicates(photos, twins, decided),
        *rows,
        *(leakage.check_leaves(photos, ids, unknown) if groups else []),
        *leakage.check_neighbours(photos, neighbours or []),
        *check_shortcuts(probes, redrawn),
    ]
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    seen = leakage.seen_in_train(photos, twins, ids, neighbours)
    lines = verdict(findings, seen, probes, with_ids=groups is not None)
    every = [*probes, *redrawn]
    return Report(str(listing.root), count(listing), findings, seen, every, lines, time.monotonic() - start)


def _groups(photos: Sequence[Photo], ids: LeafIds, twins: Sequence[Ints]) -> Ints:
    """The groups that `leafdist split --groups near` keeps together."""
    named = [(photo.label, photo.file) for photo in photos]
    leaves = {photo: (photo[0], leaf) for photo in named if (leaf := leaf_of(ids, *photo))}
    order = sorted(range(len(named)), key=named.__getitem__)  # as in a raw folder, whatever the sides
    pairs = by_leaf_or_number([named[number] for number in order], leaves)
    return join(len(photos), np.concatenate([*twins, np.array(order, np.int64)[pairs]]))


def verdict(findings: Sequence[Finding], seen: dict[str, Seen], probes: Sequence[Probe], with_ids: bool) -> list[str]:
    """Say in at least one line what an accuracy on this split can and cannot mean."""
    kinds = {finding.kind for finding in findings if finding.level == "error"}
    lines = [_leak(split, found, with_ids) for split, found in seen.items()]
    if not seen:
        lines.append("nothing is split here: audit the split folder too, for what its accuracy is worth")
    if {"undecodable", "truncated", "refused mode", "empty class", "missing class", "one class"} & kinds:
        lines.append("a training would stop: there are photos that cannot be decoded, or classes without photos")
    if {kind for kind in kinds if kind.endswith("across classes")}:
        lines.append("no model can be right on all of it: the same picture stands under two labels")
    lines += [
        f"by {probe.what} alone {probe.accuracy:.0%} are right, and a higher accuracy may still rest on that: test on "
        "photos from elsewhere"
        for probe in probes
        if probe.tells
    ]
    if "imbalance" in {finding.kind for finding in findings}:
        lines.append("plain accuracy speaks for the large classes: give macro-F1 or accuracy per class beside it")
    return lines


def _leak(split: str, seen: Seen, with_ids: bool) -> str:
    twins = f"{seen.twins} of {seen.photos} photos have a twin in train"
    if seen.leaves:
        share = seen.leaves / seen.known
        return (
            f"accuracy on {split} measures memory: {seen.leaves} of {seen.known} photos with a known leaf "
            f"({share:.0%}) show a leaf of train; {twins}"
        )
    rest, parts = seen.photos - seen.known, list[str]()
    if seen.known:
        parts.append(f"{seen.known} of {seen.photos} photos of {split} are known to show leaves never seen")
    if rest:
        classes = f"{seen.unknown_classes} class{'es' if seen.unknown_classes > 1 else ''}"
        whose = f"of the other {rest}, in {classes}," if seen.known else f"of the {rest} photos of {split}"
        parts.append(f"{whose} {_guess(seen, with_ids=with_ids)}")
    parts.append(f"{twins}, which measures memory" if seen.twins else "none has a twin in train")
    return "; ".join(parts)


def _guess(seen: Seen, *, with_ids: bool) -> str:
    """What is known of the photos without a leaf id."""
    if seen.neighbours is None:
        both = "beside the file, " if with_ids else ""
        return f"the leaves are not known: --groups near, {both}looks at file numbers and likeness"
    if not seen.neighbours:
        return "none is a neighbour of train's by file number or likeness, so their leaves are probably new"
    return f"{seen.neighbours} are neighbours of train's by file number or likeness, and may show their leaves"
