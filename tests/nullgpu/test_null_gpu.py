"""Host paths of a GPU job, over GPUs that compute nothing: launches, copies, waits. No results, no speed."""

import json

import pytest

from tests.helpers.null_gpu import NullGpu

pytestmark = [pytest.mark.slow, pytest.mark.nullgpu]
RESNET = ("--model.name", "resnet50", "--train.batch_size", 64)
BASELINE = ("--model.name", "baseline", "--train.batch_size", 64)


@pytest.fixture(scope="session")
def null_gpu(tmp_path_factory: pytest.TempPathFactory) -> NullGpu:
    """Build it once per session."""
    return NullGpu(tmp_path_factory.mktemp("nullgpu"))


@pytest.mark.parametrize(
    ("arguments", "precision", "processes", "launches"),
    [
        (RESNET, "bf16", 1, 875),
        (RESNET, "fp16", 1, 641),
        (RESNET, "bf16", 2, 1045),
        ((*RESNET, "--train.sync_batchnorm", "true"), "bf16", 2, 1412),
        (BASELINE, "bf16", 1, 153),
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
