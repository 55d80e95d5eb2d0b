"""What cards get: precision, the build that fits, memory, the doctor, and benchmarks/gpu.sh as a whole."""

import re
import sys
from pathlib import Path

import pytest

from tests.helpers.null_gpu import NullGpu
from tests.helpers.paths import REPO
from tests.helpers.programs import TINY

pytestmark = [pytest.mark.slow, pytest.mark.nullgpu]
CARDS = (REPO / "docs" / "workstation.md").read_text(encoding="utf-8")


def test_a_t4_trains_in_fp16(null_gpu: NullGpu, photos: Path) -> None:
    command = ["train.py", "--data.root", photos, *TINY, "--train.precision", "auto", "--train.max_steps", 1]
    done = null_gpu.run(
        *command,
        "--run.folder",
        photos.parent,
        compute=True,
        NULLCUDA_NAME="Tesla T4",
        NULLCUDA_MAJOR="7",
        NULLCUDA_MINOR="5",
    )
    assert done.returncode == 0, done.stderr
    assert "precision fp16 (auto: Tesla T4 has fp16 tensor cores and no bf16)" in done.stdout


def test_a_v100_is_told_its_wheel(null_gpu: NullGpu, photos: Path) -> None:
    done = null_gpu.run(
        "train.py", "--data.root", photos, NULLCUDA_NAME="Tesla V100", NULLCUDA_MAJOR="7", NULLCUDA_MINOR="0"
    )
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"error: GPU 0 Tesla V100 .* no kernels for it\. .*whl/cu126.*\n", done.stderr)


@pytest.mark.parametrize("graph", ["always", "never"])
def test_peaks_are_those_of_docs(graph: str, null_gpu: NullGpu) -> None:
    """Of ResNet-50 at 224 pixels; 3 % of room for another PyTorch."""
    sizes = ["--sides", 224, "--rows", 32, 64, 256, "--seconds", 0.01, "--train.graph", graph]
    done = null_gpu.run("-m", "benchmarks.steps", *sizes)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| 224 |")]
    for precision in ("bf16", "fp16", "no"):
        told = next(line for line in CARDS.splitlines() if line.startswith(f"| {precision}, {graph} |"))
        peaks = [cell.split(" / ") for cell in told.strip("| ").split(" | ")[1:]]
        found = [row[-2:] for row in rows if row[2] == precision]
        assert len(found) == 3
        for mine, theirs in zip(found, peaks, strict=True):
            assert [*map(float, mine)] == pytest.approx([*map(float, theirs)], rel=0.03)


def test_short_batch_fits_beside_graph(null_gpu: NullGpu) -> None:
    """Where both do not, the graph goes, and the next whole batch is captured anew."""
    sizes = ["--sides", 224, "--rows", 256, "--precisions", "bf16", "--seconds", 0.01, "--train.graph", "always"]
    done = null_gpu.run("-m", "benchmarks.steps", *sizes, NULLCUDA_GIB="16")
    assert done.returncode == 0, done.stderr
    reserved = done.stdout.strip("| \n").split(" | ")[-1]
    assert 11 < float(reserved) < 16


def test_doctor_sums_over_gloo_too(null_gpu: NullGpu) -> None:
    """A wrong interface for gloo leaves NCCL whole, and is named."""
    code = "from leafdist.doctor.all_reduce import among; print(*among(2, 60), sep='\\n')"
    for interface, gloo in (("lo", "'ok'"), ("nowhere", "'error'")):
        done = null_gpu.run("-c", code, compute=True, NULLCUDA_DEVICES="2", GLOO_SOCKET_IFNAME=interface)
        lines = done.stdout.splitlines()
        assert [re.findall(r"status=('\w+')|text='(nccl|gloo)", line) for line in lines] == [
            [("'ok'", ""), ("", "nccl")],
            [("'ok'", ""), ("", "nccl")],
            [(gloo, ""), ("", "gloo")],
            [(gloo, ""), ("", "gloo")],
        ], done.stdout + done.stderr
        assert done.stdout.count("GLOO_SOCKET_IFNAME names its interface") == (2 if gloo == "'error'" else 0)


def test_rates_wait_as_training_does(null_gpu: NullGpu) -> None:
    """Not after each step: the warm-up and two rates are ten steps each."""
    code = "import ctypes; from leafdist.bench.device import training_rates as rates; "
    code += "from leafdist.config.parse import parse_config; config = parse_config(['--model.name', 'baseline']); "
    code += "gpu = ctypes.CDLL(None); rates(config, 2, 1, 0.0); gpu.nullcuda_reset(); rates(config, 2, 1, 0.0); "
    code += "print(*map(gpu.nullcuda_count, (b'host waits: device', b'launch')))"
    done = null_gpu.run("-c", code)
    assert done.returncode == 0, done.stderr
    waits, launches = map(int, done.stdout.split())
    assert waits == 6, "before and after each ten"
    assert launches > 30 * 50


def test_gpu_script_runs_whole(null_gpu: NullGpu, tmp_path: Path) -> None:
    """As on a GPU, smallest: a killed run goes on bit for bit, and each part leaves its file."""
    command = ["bash", "benchmarks/gpu.sh", tmp_path]
    done = null_gpu.run(*command, python=False, compute=True, QUICK="1", PYTHON=sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = ["steps-graph-never", "steps-graph-always"]
    parts = re.findall(r"^([\w-]+): status 0, ", (tmp_path / "summary.txt").read_text(), re.MULTILINE)
    assert parts == ["card", "sample", "split", "tests", *steps, "resume", "bench", "speedrun"]
    assert "Null H100" in (tmp_path / "card.txt").read_text()
    resumed = (tmp_path / "resume.txt").read_text()
    assert "resumed from" in resumed
    assert re.search(r"\d tensors, 0 differ", resumed)
    assert "1 of 1 reached" in (tmp_path / "speedrun.txt").read_text()


def test_doctor_says_what_steps_take(null_gpu: NullGpu, photos: Path) -> None:
    """Where there is no room for it too."""
    code = "from leafdist.config.parse import parse_config; from leafdist.doctor import decoding, launch; "
    code += f"config = parse_config(['--data.root', '{photos}', '--data.resize', '256', '--data.crop', '224']); "
    code += "print(*decoding.check_photos(config, launch.Launch('here')))"
    for memory, status, text in (
        ("24", "ok", "resnet50 trains on .* in 1[23]\\.\\d GiB for 256 photos at once"),
        ("8", "error", "out of memory with 256 photos at once.*train.max_rows=128 or lower"),
    ):
        done = null_gpu.run("-c", code, NULLCUDA_GIB=memory)
        assert re.search(f"Finding\\(status='{status}', check='photos', text='{text}", done.stdout), (
            done.stdout + done.stderr
        )
