"""The least time to a val accuracy: python benchmarks/speedrun.py CONFIG DATA --target 0.93 [--section.key VALUE …].

Whole runs of train.py, from its start with the packs there to its end, a seed each; the median counts, and only where
most seeds reach the target. The test photos are evaluated once, after all runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from leafdist.config.parse import parse_config

ROOT = Path(__file__).parents[1]


def call(*words: object) -> str:
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def run(options: argparse.Namespace, settings: list[str], folder: Path, seed: int) -> tuple[float, float]:
    """Seconds of the whole process, best val accuracy."""
    began = time.perf_counter()
    words = ["--config", options.config, "--data.root", options.root, "--seed", seed, "--run.folder", folder]
    call("train.py", *words, "--run.name", f"seed-{seed}", "--track.wandb", "off", *settings)
    seconds = time.perf_counter() - began
    lines = (folder / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines()
    return seconds, max(event["val_accuracy"] for event in map(json.loads, lines) if event["event"] == "epoch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("root", type=Path, help="folder of {train,val,test}/<class>/<photo>")
    parser.add_argument("--target", type=float, required=True, help="val accuracy, 0 to 1")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the figures too")
    options, settings = parser.parse_known_args()
    options.config, options.root = options.config.resolve(), options.root.resolve()
    data = parse_config(["--config", str(options.config), *settings], "speedrun.py").data
    how = ["--resize", data.resize, "--fit", data.fit, "--interpolation", data.interpolation]
    call("-m", "leafdist", "pack", options.root, *how, *(["--cache", data.cache] if data.cache else []))
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), []
        for seed in range(options.seeds):
            seconds, accuracy = run(options, settings, folder, seed)
            rows.append({"seed": seed, "seconds": seconds, "val_accuracy": accuracy})
            print(f"seed {seed}: {seconds:.1f} s, best val {accuracy:.4f}", flush=True)
        for row in rows:
            call("evaluate.py", folder / f"seed-{row['seed']}", "--data", options.root)
            row["test_accuracy"] = json.loads((folder / f"seed-{row['seed']}" / "eval-test.json").read_text())[
                "accuracy"
            ]
    reached = sum(row["val_accuracy"] >= options.target for row in rows)
    medians = {key: statistics.median(row[key] for row in rows) for key in ("seconds", "val_accuracy", "test_accuracy")}
    if options.json:
        options.json.write_text(
            json.dumps({"target": options.target, "reached": reached, "runs": rows} | medians, indent=1)
        )
    print(f"{reached} of {len(rows)} reached {options.target:.4f}; median {medians['seconds']:.1f} s", end=", ")
    print(f"val {medians['val_accuracy']:.4f}, test {medians['test_accuracy']:.4f}")
    if reached * 2 <= len(rows):
        raise SystemExit("most seeds missed the target: this is no figure")


if __name__ == "__main__":
    main()
