"""`leafdist audit`: what is wrong with a folder of photos, and what an accuracy on it can mean."""

import time
from pathlib import Path, PurePath

import numpy as np

from leafdist.data.groups import LeafIds, read_groups, unknown_classes
from leafdist.prepare.audit.audit_report import Report
from leafdist.prepare.audit.class_list import check_classes, count
from leafdist.prepare.audit.duplicates import check_duplicates, find_twins
from leafdist.prepare.audit.folder_listing import list_folder
from leafdist.prepare.audit.leakage import check_coverage, check_leaves, leaves_of, seen_in_train
from leafdist.prepare.audit.meaning import verdict
from leafdist.prepare.audit.photo_files import check_files
from leafdist.prepare.audit.shortcuts import check_shortcuts, probe_shortcuts
from leafdist.prepare.features import read_features
from leafdist.prepare.near import chains, join

LEVELS = ("error", "warning", "note")


def audit(root: Path, groups: Path | None = None, workers: int = 1, seed: int = 0) -> Report:
    """Look at every photo of a raw or a split folder, once, with so many processes.

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
        *(check_leaves(photos, ids) if groups else []),
        *(check_coverage(photos, ids, unknown) if groups else []),
        *check_shortcuts(probes),
    ]
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    seen = seen_in_train(photos, twins, ids)
    lines = verdict(findings, seen, probes, with_ids=groups is not None)
    return Report(str(listing.root), count(listing), findings, seen, probes, lines, time.monotonic() - start)
