"""Dropout's kernel for GPUs, without one: interpreted, its masks are the CPU's; compiled, it builds for every card."""

import importlib.util
import subprocess
import sys

import pytest

from tests.helpers.paths import REPO

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="needs Triton, of torch for CUDA")


@pytest.mark.slow
def test_kernel_draws_the_cpus_masks() -> None:
    command = [sys.executable, "-m", "tests.helpers.interpreted_dropout"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("capability", [75, 80, 90, 100])
def test_kernel_builds_for_each_card(capability: int) -> None:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from leafdist.models.dropout_kernel import COUNTERS, factors_kernel

    kinds = dict.fromkeys(factors_kernel.arg_names, "i32") | {"out": "*bf16", "clock": "*i64", "seed": "i64"}
    source = ASTSource(factors_kernel, kinds | {"scale": "fp32", "size": "constexpr"}, {"size": COUNTERS})
    assert triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]
