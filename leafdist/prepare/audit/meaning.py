"""What an accuracy on this split can and cannot mean, a line each."""

from collections.abc import Sequence

from leafdist.prepare.audit.finding import Finding
from leafdist.prepare.audit.leakage import Seen
from leafdist.prepare.audit.shortcuts import Probe


def verdict(findings: Sequence[Finding], seen: dict[str, Seen], probes: Sequence[Probe], with_ids: bool) -> list[str]:
    """Never empty."""
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
        lines.append("plain accuracy speaks for the large classes: give macro-F1 or accuracy a class beside it")
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
