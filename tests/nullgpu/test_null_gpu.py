"""Host paths of a GPU job, over GPUs that compute nothing: launches, copies, waits. No results, no speed."""

import json
from pathlib import Path

import pytest

from tests.helpers.null_gpu import NullGpu
from tests.helpers.programs import TINY, run_program
from tests.helpers.run_folders import events

pytestmark = [pytest.mark.slow, pytest.mark.nullgpu]
RESNET = ("--model.name", "resnet50", "--train.batch_size", 64)
BASELINE = ("--model.name", "baseline", "--train.batch_size", 64)


@pytest.mark.parametrize(
    ("arguments", "precision", "processes", "launches"),
    [
        (RESNET, "bf16", 1, 875),
        (RESNET, "fp16", 1, 641),
        (RESNET, "bf16", 2, 1045),
        ((*RESNET, "--train.sync_batchnorm", "true"), "bf16", 2, 1412),
        (BASELINE, "bf16", 1, 115),
    ],
)
def test_step_launches_no_more_kernels(
    arguments: tuple[object, ...], precision: str, processes: int, launches: int, null_gpu: NullGpu
) -> None:
    """3 % of room for another PyTorch. No copy from pageable memory, and no wait, but the draws' and the flag's."""
    command = "-m", "benchmarks.launches", *arguments, "--train.precision", precision
    done = null_gpu.run(*command, processes=processes)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["launch"] <= 1.03 * launches
    assert counts["D2H pageable"] == counts["host waits: stream"] == counts["host waits: copy"] == 0


@pytest.mark.parametrize("network", [RESNET, BASELINE])
def test_step_asks_the_device_nothing(network: tuple[object, ...], null_gpu: NullGpu) -> None:
    """In each precision, with Adam, and with SGD, clipping and micro-batches."""
    done = null_gpu.run("-m", "tests.helpers.step_alarms", *network)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("silent") == 6


def test_device_tests_pass_on_null_gpu(null_gpu: NullGpu) -> None:
    """Those marked `gpu` among them: train.py from end to end, resumed bit for bit."""
    done = null_gpu.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/training/test_device.py", compute=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("network", "processes", "apart"),
    [
        (("baseline", "--train.precision", "no"), 1, 1e-5),
        (("baseline", "--train.precision", "no"), 2, 1e-5),
        (("baseline", "--train.precision", "bf16"), 2, 1e-2),
        (("resnet50", "--model.weights", "none"), 1, 1e-2),
    ],
)
def test_gpus_compute_what_cpus_do(
    network: tuple[str, ...], processes: int, apart: float, null_gpu: NullGpu, photos: Path
) -> None:
    """Losses of the steps of two epochs, with dropout: the masks are the same. Triton's interpreter draws them.

    The rate is low: in a ResNet with random weights, what was rounding grows a hundredfold per step, and on CPUs
    the convolutions of its small maps sum in another order.
    """
    runs, losses = photos.parent / "runs", list[list[float]]()
    command = ["--data.root", photos, *TINY, "--train.epochs", 2, "--optim.lr", 1e-6, "--run.folder", runs]
    for name in ("cpu", "cuda"):
        run = (*command, "--model.name", *network, "--run.name", name)
        if name == "cpu":
            done = run_program(photos.parent, "train.py", *run)
        else:
            done = null_gpu.run("train.py", *run, compute=True, processes=processes)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"on {name}" in done.stdout
        losses.append([event["loss"] for event in events(runs / name) if event["event"] == "step"])
    assert len(losses[0]) == 6
    assert losses[1] == pytest.approx(losses[0], rel=apart)


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize(
    "arguments",
    [
        (*BASELINE, "--train.precision", "fp16", "--train.accumulate", 2),
        (*RESNET, "--train.precision", "bf16", "--train.sync_batchnorm", "true"),
    ],
)
def test_ranks_call_collectives_alike(
    arguments: tuple[object, ...], processes: int, null_gpu: NullGpu, tmp_path: Path
) -> None:
    """An epoch that ends with one row, so that all ranks but the first have a stand-in."""
    command = "-m", "tests.helpers.short_epoch", *arguments
    done = null_gpu.run(*command, processes=processes, NULLCUDA_NCCL=str(tmp_path / "calls"))
    assert done.returncode == 0, done.stderr
    first, *others = [(tmp_path / f"calls.{rank}").read_text() for rank in range(processes)]
    assert first.count("\n") > 10
    assert others == [first] * len(others)


def test_last_of_1024_ranks_keeps_step(null_gpu: NullGpu) -> None:
    """As many collectives of each kind as rank 0, with photos and with a stand-in row."""
    network = ("--model.name", "resnet50", "--train.batch_size", 1024, "--train.precision", "bf16")
    found = []
    for rank in (0, 1023):
        done = null_gpu.run("-m", "tests.helpers.rank_of_many", rank, *network)
        assert done.returncode == 0, done.stderr
        found.append([line.split(maxsplit=1) for line in done.stdout.splitlines()[-2:]])
    first, last = found
    assert [kind for kind, _ in first + last] == ["photos", "photos", "photos", "stand-in"]
    assert "allreduce" in first[0][1]
    assert len({counts for _, counts in first + last}) == 1


def test_save_asks_for_few_copies(null_gpu: NullGpu, tmp_path: Path) -> None:
    """Of 803 tensors one per group and dtype, into memory kept from the saves before; the writer alone waits."""
    done = null_gpu.run("-m", "tests.helpers.saved_steps", tmp_path, *RESNET, "--train.precision", "bf16")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["tensors"] == 803
    assert counts["launch"] <= 12
    assert counts["D2H pinned"] == counts["stream wait"] == 3
    assert counts["host waits: event"] == 1
    for what in ("D2H pageable", "host waits: stream", "host waits: copy", "host waits: device", "cudaHostAlloc"):
        assert counts[what] == 0, what


def test_late_copies_reach_their_files(null_gpu: NullGpu, tmp_path: Path) -> None:
    """CUDA brings each as late as it may, long after the training went on."""
    command = "-m", "tests.helpers.saved_steps", tmp_path, *BASELINE, "--train.precision", "no", "--train.batch_size", 8
    done = null_gpu.run(*command, compute=True, NULLCUDA_LAZY="1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["wrong"] == 0
