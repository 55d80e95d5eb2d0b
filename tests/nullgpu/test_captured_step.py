"""The step as one CUDA graph over GPUs that compute nothing: whether it may be captured, what the host does then."""

import json

import pytest

from tests.helpers.null_gpu import NullGpu
from tests.helpers.programs import AUGMENTED

pytestmark = [pytest.mark.slow, pytest.mark.nullgpu]
SGD = ("--optim.name", "sgd", "--train.clip_norm", 1, "--train.accumulate", 2)


@pytest.mark.parametrize(
    ("network", "precision", "processes", "more"),
    [
        ("resnet50", "bf16", 1, ()),
        ("resnet50", "fp16", 1, (*SGD, "--train.ema", 0.999)),
        ("resnet50", "bf16", 2, SGD),
        ("baseline", "bf16", 2, ()),
        ("baseline", "bf16", 1, (*AUGMENTED, "--augment.mixup", 0.2, "--augment.cutmix", 1)),
        ("timm/tf_efficientnet_lite0", "bf16", 1, ("--data.resize", 74)),
        ("timm/convnext_atto", "bf16", 1, ("--data.resize", 74, "--model.drop_path", 0.1, "--optim.layer_decay", 0.8)),
    ],
)
def test_step_is_one_graph(
    network: str, precision: str, processes: int, more: tuple[object, ...], null_gpu: NullGpu
) -> None:
    """One launch, with a few for what it reads and writes, no wait; nothing in the capture that CUDA would refuse."""
    command = ("-m", "benchmarks.launches", "--model.name", network, "--train.precision", precision, *more)
    done = null_gpu.run(*command, "--train.batch_size", 64, "--train.graph", "always", processes=processes)
    assert done.returncode == 0, done.stderr
    assert "captured as a CUDA graph" in done.stdout
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["graph launch"] == 1
    assert counts["launch"] <= 3 + ("--train.ema" in more)  # its decay
    assert counts["hazards"] == 0
    assert not any(counts[name] for name in counts if "wait" in name or "pageable" in name)
