"""SHA-256 of what leafdist computes, to hold a change of its structure against the code before it.

python benchmarks/digests.py OUT                  # trains, evaluates, predicts, exports below OUT; prints the table
python benchmarks/digests.py OUT --code CHECKOUT  # another checkout, such as the commit before; then diff both

Drawn photos; 20 steps of both networks in fp32 and bf16 on 1 and 2 processes. Only what users call is used: train.py,
evaluate.py and `python -m leafdist`. The digests hold for one machine and one release of torch.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

QUICK = ["--train.batch_size", "32", "--train.max_steps", "20", "--train.save_every", "7", "--track.wandb", "off"]
VARYING = ("root", "format", "seconds", "images_per_second")  # with the folder, the release, the hour


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--code", type=Path, default=Path(__file__).parent.parent)
    options = parser.parse_args()
    out, code = options.out.absolute(), options.code.absolute()
    table: dict[str, str] = {}
    prepare(code, out)
    for network in ("baseline", "resnet50"):
        for precision in ("no", "bf16"):
            for world in (1, 2):
                table |= train(code, out, network, precision, world)
        table |= judge(code, out, f"{network}-no-1")
    for pack in sorted((out / "splitted" / ".leafdist").glob("*.u8")):
        table[f"pack {pack.name.rsplit('-', 2)[0]}"] = digest(pack.read_bytes())
    print("\n".join(f"{value[:16]}  {name}" for name, value in table.items()))


def run(code: Path, out: Path, *command: str) -> None:
    """Run `command` with this Python and the code of `code`, in `out`; its output goes to log.txt there."""
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "LEAFDIST_EXPECT_WORLD": ""}
    del environment["LEAFDIST_EXPECT_WORLD"]
    with (out / "log.txt").open("a") as log:
        subprocess.run([sys.executable, *command], cwd=out, env=environment, check=True, stdout=log, stderr=log)


def prepare(code: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=False)
    run(code, out, "-m", "leafdist", "sample-data", "raw", "--per-class", "10", "--side", "64")
    run(code, out, "-m", "leafdist", "split", "raw", "splitted")


def train(code: Path, out: Path, network: str, precision: str, world: int) -> dict[str, str]:
    """Tensors of every checkpoint that is kept, and the metrics of each step and epoch."""
    name = f"{network}-{precision}-{world}"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(world)] if world > 1 else []
    settings = ["--config", str(code / "configs" / f"{network}.yaml"), "--model.weights", "none", "--run.name", name]
    run(code, out, *launch, str(code / "train.py"), *settings, "--train.precision", precision, *QUICK)
    folder = out / "runs" / name
    files = [*sorted(folder.glob("last/*/*.safetensors")), folder / "best" / "model.safetensors"]
    table = {f"train {name} {file.relative_to(folder)}": tensors(file) for file in files}
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [steady(event) for event in events if event["event"] in ("step", "epoch")]
    return table | {f"train {name} metrics.jsonl": digest(json.dumps(steps, sort_keys=True).encode())}


def judge(code: Path, out: Path, name: str) -> dict[str, str]:
    """Files of an evaluation, answers of `predict`, and an ONNX file's logits."""
    folder = out / "runs" / name
    run(code, out, str(code / "evaluate.py"), f"runs/{name}", "--split", "val")
    run(code, out, str(code / "evaluate.py"), f"runs/{name}")
    photos = sorted((out / "splitted" / "test").rglob("*.jpg"))[:20]
    answers = out / f"{name}-answers.csv"
    run(code, out, "-m", "leafdist", "predict", f"runs/{name}", *map(str, photos), "--csv", str(answers))
    run(code, out, "-m", "leafdist", "export", f"runs/{name}", "--to", str(out / f"export-{name}"))
    table = {f"evaluate {name} {file.name}": digest(file.read_bytes()) for file in sorted(folder.glob("pr*-*.csv"))}
    for file in sorted(folder.glob("eval-*.json")):
        content = steady(json.loads(file.read_text()))
        table[f"evaluate {name} {file.name}"] = digest(json.dumps(content, sort_keys=True).encode())
    with answers.open() as rows:
        table[f"predict {name}"] = digest(json.dumps(list(csv.reader(rows))).replace(str(out), "").encode())
    for file in sorted((out / f"export-{name}").glob("*.onnx")):
        table[f"export {name} {file.name} logits"] = logits(file)
    return table


def steady(content: dict[str, object]) -> dict[str, object]:
    """The values that do not depend on the time of day."""
    return {key: value for key, value in content.items() if key not in VARYING}


def tensors(file: Path) -> str:
    """Digest of names, shapes, types and values only: the rest of a header is ignored."""
    found = load_file(file)
    return digest(b"".join(f"{name} {found[name].dtype}".encode() + found[name].tobytes() for name in sorted(found)))


def logits(file: Path) -> str:
    import onnxruntime  # noqa: PLC0415 - an extra

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    shape = [4 if not isinstance(size, int) else size for size in wanted.shape]
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    kind = np.uint8 if wanted.type == "tensor(uint8)" else np.float32
    return digest(session.run(None, {wanted.name: pixels.astype(kind)})[0].tobytes())


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
