"""Runs all checks on a folder of photos and concludes what an accuracy on it can mean."""

import time
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from leafdist.data.groups import LeafIds, read_groups, unknown_classes
from leafdist.prepare.audit.audit_report import Report
from leafdist.prepare.audit.duplicates import check_duplicates, find_twins
from leafdist.prepare.audit.faults import check_classes, check_files, count
from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.folder_listing import list_folder
from leafdist.prepare.audit.leakage import Seen, check_leaves, leaves_of, seen_in_train
from leafdist.prepare.audit.shortcuts import Probe, check_shortcuts, probe_shortcuts
from leafdist.prepare.features import read_features
from leafdist.prepare.near import chains, join

LEVELS = ("error", "warning", "note")


def audit(root: Path, groups: Path | None = None, workers: int = 1, seed: int = 0) -> Report:
    """Read every photo of a raw or a split folder once, with `workers` processes, and check it.

    Raises ValueError for a folder without photos and for a groups file that cannot be read.
    """
    start = time.monotonic()
    listing = list_folder(root)
    ids: LeafIds = read_groups(groups) if groups else {}
    unknown = unknown_classes(ids, listing.labels, groups) if groups else []
    photos = listing.photos
    if groups and not any((photo.label, PurePath(photo.file).stem) in ids for photo in photos):
        raise ValueError(
            f"{groups} names none of the {len(photos)} photos of {root}: `stem` is a name without its ending"
        )
    features = read_features([listing.root / photo.path for photo in photos], workers)
    twins = find_twins(features, workers)
    pairs = chains(leaves_of(photos, ids).values()), chains(twins.equal), chains(twins.near)
    probes = probe_shortcuts(photos, features, join(len(photos), np.concatenate(pairs)), seed)
    findings = [
        *check_files(listing, features.facts),
        *check_classes(listing),
        *check_duplicates(photos, twins),
        *(check_leaves(photos, ids, unknown) if groups else []),
        *check_shortcuts(probes),
    ]
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    seen = seen_in_train(photos, twins, ids)
    lines = verdict(findings, seen, probes, with_ids=groups is not None)
    return Report(str(listing.root), count(listing), findings, seen, probes, lines, time.monotonic() - start)


def verdict(findings: Sequence[Finding], seen: dict[str, Seen], probes: Sequence[Probe], with_ids: bool) -> list[str]:
    """Say in at least one line what an accuracy on this split can and cannot mean."""
    kinds = {finding.kind for finding in findings if finding.level == "error"}
    lines = [_leak(split, found, with_ids) for split, found in seen.items()]
    if not seen:
        lines.append("nothing is split here: audit the split folder too, for what its accuracy is worth")
    if {"undecodable", "truncated", "refused mode", "empty class", "missing class"} & kinds:
        lines.append("a training would stop: there are photos that cannot be decoded, or classes without photos")
    if {kind for kind in kinds if kind.endswith("across classes")}:
        lines.append("no model can be right on all of it: the same picture stands under two labels")
    lines += [
        f"an accuracy of {probe.accuracy:.0%} needs no more than {probe.what}: what is above may still lean on that. "
        "Only photos from elsewhere tell"
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
    if seen.twins and with_ids:
        return (
            f"accuracy on {split} is on leaves never seen, but for {seen.twins} of {seen.photos} photos, which have a "
            "twin in train: their leaf ids are missing or wrong"
        )
    if seen.twins:
        return f"accuracy on {split} is too high, by up to {seen.twins / seen.photos:.1%}: {twins}. Split with --groups"
    if with_ids and not seen.known:
        return f"no photo of {split} has a twin in train; whether their leaves do is not known: none has a leaf id"
    if with_ids:
        rest = seen.photos - seen.known
        unsure = f"; {rest} photos have no leaf id, and for them this is not known" if rest else ""
        return f"accuracy on {split} is on leaves never seen, and no photo has a twin in train{unsure}"
    return (
        f"no photo of {split} has a twin in train; whether their leaves do is not known without --groups: other photos "
        "of the same leaf look different to the eye of this program"
    )
