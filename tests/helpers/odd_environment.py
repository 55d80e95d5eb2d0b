"""Environment variables of Accelerate, torch, W&B and Slurm set at random, and what a small training makes of them."""

import hashlib
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tests.helpers.paths import REPO

READ = re.compile(r"""["']([A-Z][A-Z0-9_]{3,})["']""")
FAMILIES = re.compile(
    "(ACCELERATE|FSDP|MEGATRON_LM|PARALLELISM_CONFIG|TORCH|PYTORCH|TORCHINDUCTOR|TORCHDYNAMO|TORCHELASTIC|WANDB|SLURM|OMP|MKL"
    "|NCCL|GLOO|CUDA|CUBLAS)_.*|RANK|LOCAL_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT|PMI_SIZE|PMI_RANK"
    "|OMPI_COMM_WORLD_SIZE|OMPI_COMM_WORLD_RANK|MV2_COMM_WORLD_SIZE|USE_TORCH_XLA|FORK_LAUNCHED"
)
COMPILED = [
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "ONEDNN_PRIMITIVE_CACHE",
    "MKL_CBWR",
    "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "OMP_WAIT_POLICY",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "TORCH_MKLDNN_MATMUL_MIN_DIM",
    "TORCH_LINEAR_FLATTEN_3D",
    "PYTORCH_TENSOREXPR",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "NVIDIA_TF32_OVERRIDE",
    "PYTORCH_CUDA_ALLOC_CONF",
    "CUBLASLT_WORKSPACE_SIZE",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_CPUS_PER_TASK",
    "SLURM_JOB_ID",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_NODELIST",
    "SLURM_GPUS_ON_NODE",
    "ACCELERATE_USE_FSDP",
    "ACCELERATE_DYNAMO_BACKEND",
    "ACCELERATE_USE_DEEPSPEED",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
    "ACCELERATE_MIXED_PRECISION",
]
VALUES = [
    "0",
    "1",
    "2",
    "-1",
    "true",
    "false",
    "no",
    "x",
    "",
    "bf16",
    "fp16",
    "fp8",
    "INDUCTOR",
    "default",
    "avx2",
    "spread",
]
VALUES += ["BF16", "COMPATIBLE", "127.0.0.1", "/nowhere", "é", "none", "1.5", "SSE41", "{0}", "offline", "2(x3)"]


@dataclass(frozen=True)
class Trained:
    """The exit status of a training, a digest of its weights, and what it said."""

    status: int
    weights: str
    said: str


@cache
def names() -> list[str]:
    """Return the variables that the installed packages read, as far as their Python files tell."""
    found = set(COMPILED)
    for package in ("accelerate", "torch", "wandb"):
        spec = find_spec(package)
        assert spec
        assert spec.origin
        for path in Path(spec.origin).parent.rglob("*.py"):
            text = path.read_text(encoding="utf-8", errors="replace")
            if "environ" in text or "getenv" in text or "env_prefix" in text:
                found |= {name for name in READ.findall(text) if FAMILIES.fullmatch(name)}
    return sorted(found)


def draw_environment(seed: int, size: int = 6) -> dict[str, str]:
    """Return variables at random, half of them of those that compiled code reads."""
    drawn = random.Random(seed)
    pools = [names(), COMPILED]
    return {drawn.choice(drawn.choice(pools)): drawn.choice(VALUES) for _ in range(size)}


def train_in(variables: dict[str, str], root: Path, name: str) -> Trained:
    """Train the baseline for one epoch beside `root` with `variables`, in a process of its own."""
    command = [sys.executable, str(REPO / "train.py"), "--config", str(REPO / "configs/baseline.yaml")]
    command += f"--data.root {root} --data.resize 16 --train.epochs 1 --train.batch_size 8 --track.wandb off".split()
    clean = {key: value for key, value in os.environ.items() if not FAMILIES.fullmatch(key)}
    clean |= {"PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [*command, "--run.name", name],
        cwd=root.parent,
        env=clean | variables,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=180,
    )
    weights = root.parent / "runs" / name / "best" / "model.safetensors"
    digest = hashlib.sha256(tensors_of(weights)).hexdigest() if weights.exists() else ""
    return Trained(done.returncode, digest, done.stdout + done.stderr)


def tensors_of(path: Path) -> bytes:
    """Return what follows the header of a file of safetensors, which holds the name of the run."""
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def fault(variables: dict[str, str], plain: Trained, odd: Trained) -> str | None:
    """Tell what is wrong: other weights, or an end that names no variable."""
    if odd.status == 0:
        return None if odd.weights == plain.weights else "other weights"
    named = any(name in odd.said.rpartition("error:")[2] for name in variables)
    return None if odd.status == 2 and named else f"status {odd.status}: {odd.said[-300:]}"
