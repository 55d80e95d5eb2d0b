"""Under which conditions: configuration, environment, restarts, and what it cost."""

import json
from datetime import datetime
from typing import Any

from leafdist.config.schema import KEYS, Config, ModelConfig, flatten, resolve, to_dict
from leafdist.pages.html import Child, Html, tag
from leafdist.pages.words import data, duration, many
from leafdist.report.contents import Facts
from leafdist.report.data_card import pairs

NAMES = {"run.name", "run.folder"}  # differ always, and say nothing


def configuration(facts: Facts) -> Html:
    """Settings that differ from the defaults, with these beside them, then all by section."""
    values, defaults = flatten(to_dict(facts.record.config)), _defaults(facts.record.config)
    changed = [key for key in values if values[key] != defaults[key] and key not in NAMES]
    rows = {key: _setting(key, values[key], defaults[key], changed=key in changed) for key in values}
    summary = f"{len(changed)} of {len(values)} settings differ from the defaults" if changed else "All as by default"
    return tag(
        "section",
        tag("h2", "Configuration", id="configuration"),
        tag("p", f"{summary}.", class_="soft"),
        _by_section({key: rows[key] for key in changed}),
        tag("details", tag("summary", f"All {len(values)} settings"), _by_section(rows)),
    )


def _by_section(rows: dict[str, Html]) -> Html:
    sections: dict[str, list[Html]] = {}
    for key, row in rows.items():
        sections.setdefault(key.rpartition(".")[0], []).append(row)
    return tag("div", [_section(name, section) for name, section in sections.items()], class_="columns")


def _defaults(config: Config) -> dict[str, Any]:
    """Those that this network would have; what only the machine decides counts as left alone."""
    plain = flatten(to_dict(resolve(Config(model=ModelConfig(name=config.model.name)))))
    return plain | {"model.name": Config().model.name, "train.precision": config.train.precision}


def _section(name: str, rows: list[Html]) -> Html:
    return tag("table", tag("caption", name or "general"), tag("tbody", rows), class_="settings")


def _setting(key: str, value: object, default: object, *, changed: bool) -> Html:
    name = tag("th", key.rpartition(".")[2], scope="row", title=KEYS[key].metadata.get("help"))
    note = tag("small", f" default {_shown(default)}") if changed else None
    return tag("tr", name, tag("td", tag("code", _shown(value)), note), class_="changed" if changed else None)


def _shown(value: object) -> str:
    """As YAML has it."""
    return str(value) if isinstance(value, str) and value else json.dumps(value)


def environment(facts: Facts) -> Html:
    """Machines, versions, restarts and cost."""
    starts = facts.record.starts
    last: dict[str, Any] = starts[-1] if starts else {}
    rows: list[tuple[str, Child]] = [
        ("Device", f"{last.get('device', 'not known')}, precision {facts.record.config.train.precision}"),
        ("Processes", str(last.get("world_size", "not known"))),
        ("Host", ", ".join(dict.fromkeys(str(start.get("host")) for start in starts)) or "not known"),
        ("Commit", tag("code", str(last.get("git_commit") or "not known"))),
        ("Slurm job", ", ".join(_jobs(starts)) or "none"),
    ]
    versions = [(name, tag("span", str(value))) for name, value in last.get("versions", {}).items()]
    return tag(
        "section",
        tag("h2", "Environment and cost", id="environment"),
        tag(
            "div",
            tag("div", tag("h3", "Cost"), _cost(facts)),
            tag("div", tag("h3", "Machine"), pairs(rows)),
            class_="halves",
        ),
        tag("h3", "Versions"),
        tag("div", pairs(list(versions)), class_="versions"),
        _starts(starts),
    )


def _jobs(starts: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(start["slurm_job_id"]) for start in starts if start.get("slurm_job_id")))


def _cost(facts: Facts) -> Html:
    record = facts.record
    seconds = float(record.run.get("seconds") or sum(row["seconds"] for row in record.epochs))
    rows: list[tuple[str, Child]] = [("Time of training", data(seconds, duration(seconds)))]
    hours = record.device_hours
    kinds = {"cuda": "GPU hours", "cpu": "Process hours on CPUs"}
    rows += [(kinds.get(kind, f"{kind} hours"), data(value, f"{value:.2f}")) for kind, value in hours.items()]
    if record.images_per_second:
        rows.append(
            (
                "Images a second",
                data(record.images_per_second, f"{record.images_per_second:.0f}, the median of training"),
            )
        )
    rows.append(("Started again", many(record.restarts, "time")))
    return pairs(rows)


def _starts(starts: list[dict[str, Any]]) -> Html | None:
    if len(starts) < 2:
        return None
    names = ("Started", "Step", "Processes", "Device", "Host", "Slurm job", "Commit")
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    keys = ("time", "step", "world_size", "device", "host", "slurm_job_id", "git_commit")
    rows = [tag("tr", [tag("td", _told(key, start.get(key))) for key in keys]) for start in starts]
    table = tag("table", tag("caption", "Starts", class_="unseen"), head, tag("tbody", rows), class_="plain words")
    return tag("div", tag("h3", "Starts"), tag("div", table, class_="scroll"))


def _told(key: str, value: object) -> str:
    if value is None:
        return "–"
    if key == "time":
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M} UTC"
    return str(value)[:10] if key == "git_commit" else str(value)
