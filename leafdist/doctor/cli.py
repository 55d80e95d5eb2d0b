"""doctor: what this machine can do, and what is wrong with it."""

import argparse
import json
from pathlib import Path
from typing import Any

STDOUT = "-"


def add(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="find out what is wrong with this machine",
        usage="leafdist doctor [options] [--config FILE] [--section.key VALUE ...]",
        description="What this machine, or every node of a launch, can do for a training, and what is wrong; about a "
        "minute. Exit status 1 where something is an error.",
        examples=(
            "leafdist doctor --config configs/resnet50.yaml --data.root splitted",
            "accelerate launch --multi_gpu --num_processes 4 -m leafdist doctor",
            "srun leafdist doctor --json doctor.json",
        ),
    )
    doctor.add_argument(
        "--processes", metavar="N", type=int, help="add up over so many here (default: one a GPU, two without)"
    )
    doctor.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=90.0, help="patience with processes (default: %(default)g)"
    )
    doctor.add_argument(
        "--json", metavar="FILE", nargs="?", const=STDOUT, help="write all of it there too; no FILE: print nothing else"
    )
    doctor.set_defaults(takes_settings=True, run=run_doctor)


def run_doctor(options: argparse.Namespace) -> int:
    """Settings are those of train.py."""
    from leafdist.config.parse import parse_config
    from leafdist.doctor.examine import examine
    from leafdist.system import console, files

    if options.processes is not None and options.processes < 1:
        raise ValueError(f"--processes {options.processes}: must be at least 1")
    config = parse_config(options.settings, "leafdist doctor")
    report = examine(config, options.processes, options.timeout)
    if report is None:
        return 0
    if options.json == STDOUT:
        console.say(json.dumps(report.json(), indent=2, ensure_ascii=False))
        return int(report.failed)
    report.show()
    if options.json:
        files.write_json(Path(options.json), report.json())
    return int(report.failed)
