"""doctor: what this machine can do, and what is wrong with it."""

import argparse
import json
from pathlib import Path
from typing import Any

STDOUT = "-"


def add(commands: Any) -> None:
    """Add the parser of `doctor`."""
    doctor = commands.add_parser(
        "doctor",
        help="find out what is wrong with this machine",
        usage="leafdist doctor [options] [--config FILE] [--section.key VALUE ...]",
        description="Check what this machine, or every node of a launch, can do for a training, in about a minute. "
        "Exit status 1 if something would make a training fail.",
        examples=(
            "leafdist doctor --config configs/resnet50.yaml --data.root splitted",
            "accelerate launch --multi_gpu --num_processes 4 -m leafdist doctor",
            "srun leafdist doctor --json doctor.json",
        ),
    )
    doctor.add_argument(
        "--processes", metavar="N", type=int, help="processes in the all-reduce (default: one per GPU, two on a CPU)"
    )
    doctor.add_argument("--timeout", metavar="SECONDS", type=float, default=90.0, help="wait this long for others")
    doctor.add_argument(
        "--json", metavar="FILE", nargs="?", const=STDOUT, help="write all findings there too; no FILE: print only JSON"
    )
    doctor.set_defaults(takes_settings=True, run=run_doctor)


def run_doctor(options: argparse.Namespace) -> int:
    """Examine, print and write; return the exit status. The settings are those of train.py."""
    from leafdist.config.parse import parse_config
    from leafdist.doctor.examine import examine
    from leafdist.system import console, files
    from leafdist.system.plain import to_plain

    if options.processes is not None and options.processes < 1:
        raise ValueError(f"--processes {options.processes}: must be at least 1")
    report = examine(parse_config(options.settings, "leafdist doctor"), options.processes, options.timeout)
    if report is None:
        return 0
    if options.json == STDOUT:
        console.output(json.dumps(to_plain(report), indent=2))
    else:
        report.show()
        if options.json:
            files.write_json(Path(options.json), to_plain(report))
            console.say_aside(f"wrote {options.json}")
    return int(report.status == "error")
