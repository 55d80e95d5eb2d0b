"""The environment variables that would change what is computed: taken out before torch is imported, or refused."""

import os
import re
import sys
from importlib import import_module

from leafdist.system import console, launched

YES = ("1", "true", "yes", "on", "y", "t")
UNSET = ("", *["0", "1", "1.0", "no", "none", "false", "off", "auto"])  # what Accelerate's launcher always sets
SHARDED = re.compile("ACCELERATE_USE_(FSDP|DEEPSPEED|MEGATRON_LM|PARALLELISM_CONFIG|SAGEMAKER)")
OF_ACCELERATE = re.compile(
    "(ACCELERATE|FSDP|MEGATRON_LM|PARALLELISM_CONFIG)_.*|USE_TORCH_XLA|FORK_LAUNCHED|CUBLAS_WORKSPACE_CONFIG"
)
CONFIGURED = {  # what people set through Accelerate, and the key that decides it here
    "ACCELERATE_DYNAMO_BACKEND": "train.compile",
    "ACCELERATE_MIXED_PRECISION": "train.precision",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "train.accumulate",
    "ACCELERATE_GRADIENT_CLIPPING": "train.clip_norm",
}
# torch, its libraries and their successors have hundreds: all are taken out but those that choose files, logs, memory,
# connections and the number of threads, which `Runtime` sets
OF_TORCH = re.compile(
    "(TORCH|PYTORCH|TORCHINDUCTOR|TORCHDYNAMO|ATEN|ONEDNN|DNNL|MKL|OMP|GOMP|KMP|FBGEMM|CUBLAS|CUBLASLT|CUDNN|XLA|TRITON"
    "|NVIDIA_TF32)_.*"
)
HARMLESS = re.compile(
    r".*_(VERSION|BUILD_NUMBER|HOME|HUB|MODEL_ZOO|DIR|PATH|ROOT|LIBRARY|FILE|VERBOSE|TRACE|ARCH_LIST|LOG\w*|\w*DEBUG"
    r"|ALLOC_CONF|NUM_THREADS|STACKTRACES|MEMORY_CACHING|THREADING_LAYER|FORCE_INTEL|LIB_OK)"
    r"|(TORCH_(NCCL|GLOO|FR|ELASTIC|DISABLE_SHARE|DEVICE_BACKEND)|CUDNN_LOG|CUBLAS(LT)?_LOG|PYTORCH_NVML)\w*"
    r"|OMP_(PROC_BIND|PLACES|WAIT_POLICY|DISPLAY\w+)|KMP_(AFFINITY|BLOCKTIME|INIT_AT_FORK|WARNINGS|HW_SUBSET)"
    "|GOMP_(CPU_AFFINITY|SPINCOUNT)"  # where threads run; KMP_INIT_AT_FORK is set by scikit-learn
    "|TRITON_INTERPRET"  # slow, and the same numbers
    "|TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"  # set in NVIDIA's containers; Runtime sets the precision of products itself
)
ALLOC_CONF = re.compile(r"(\s*\w+:[^,]+(,\s*[\w>]+:[^,]+)*)?")
OF_MPI = re.compile(
    "(PMI|OMPI_COMM_WORLD|MV2_COMM_WORLD|MPI)_(SIZE|RANK|LOCAL_SIZE|LOCAL_RANK|LOCALRANKID|LOCALNRANKS)"
)
RANKS = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
MEETING = ("RANK", "MASTER_ADDR", "MASTER_PORT")
NUMBERS = (*RANKS, "WORLD_SIZE", "MASTER_PORT", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK")


def settle() -> None:
    """Leave nothing in the environment that would change what is computed; say what was taken out.

    Called before torch is imported. Raises ValueError for what cannot be taken out.
    """
    for name in filter(SHARDED.fullmatch, tuple(os.environ)):
        if os.environ[name].lower() in YES:
            raise ValueError(
                f"{name}={os.environ[name]}: each process trains a whole copy of the network here, never a part. Unset "
                "it, or turn it off in `accelerate config`, or use torchrun"
            )
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):  # torch aborts
        if not ALLOC_CONF.fullmatch(value := os.environ.get(name, "")):
            raise ValueError(
                f"{name}={value} is not of the form max_split_size_mb:512,expandable_segments:True. Unset it"
            )
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in YES:  # of accelerate launch --cpu
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    harmless = f"{HARMLESS.pattern}|{OF_ACCELERATE.pattern}"
    of_torch = [name for name in sorted(os.environ) if OF_TORCH.fullmatch(name) and not re.fullmatch(harmless, name)]
    if of_torch and "torch" in sys.modules:
        raise ValueError(f"{', '.join(of_torch)} would change what is computed. Unset it and start Python anew")
    passed_over = [f"{name}={os.environ[name]}" for name in of_torch]
    for name, key in CONFIGURED.items():
        if (value := os.environ.get(name, "")).lower() not in UNSET:
            passed_over.append(f"{name}={value} ({key} decides)")
    for name in {*of_torch, *filter(OF_ACCELERATE.fullmatch, os.environ)}:
        del os.environ[name]
    if passed_over and launched.speaks():
        console.say_aside(f"ignored, since the configuration alone decides what is computed: {', '.join(passed_over)}")


def settle_and_import() -> None:
    """Settle, then import torch; raises ValueError that names what is left in the environment where that fails."""
    settle()
    try:
        import_module("torch")
    except Exception as error:
        if not (left := [f"{name}={value}" for name, value in sorted(os.environ.items()) if OF_TORCH.fullmatch(name)]):
            raise
        raise ValueError(f"torch cannot be imported ({error}). Unset what it reads: {', '.join(left)}") from error


def settle_launch() -> None:
    """Keep what a launcher says of its processes if it is complete; forget what an earlier launch left in the shell.

    Raises ValueError for half a launch, and for one by mpirun.
    """
    alone = os.environ.get("WORLD_SIZE", "") in ("", "1")
    many = [name for name in os.environ if OF_MPI.fullmatch(name) and os.environ[name] not in ("", "1")]
    if "WORLD_SIZE" not in os.environ and (sizes := [name for name in many if name.endswith("_SIZE")]):
        raise ValueError(
            f"{sizes[0]}={os.environ[sizes[0]]}, and WORLD_SIZE is not set. Unset it, or start the processes with "
            "accelerate launch, torchrun or slurm/launch.sh, not with mpirun"
        )
    for name in tuple(os.environ):
        left = alone and name in RANKS and not all(map(os.environ.get, ("WORLD_SIZE", *MEETING)))
        if OF_MPI.fullmatch(name) or left or (name in NUMBERS and not os.environ[name]):
            del os.environ[name]
    for name in NUMBERS:
        if not (value := os.environ.get(name, "0")).isdecimal():
            raise ValueError(f"{name}={value} is no whole number. Launchers set it: unset it")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and (missing := [name for name in MEETING if not os.environ.get(name)]):
        raise ValueError(
            f"WORLD_SIZE={world}, but these are not set: {', '.join(missing)}. Export RANK, WORLD_SIZE, LOCAL_RANK, "
            "MASTER_ADDR and MASTER_PORT, as slurm/launch.sh does, or use accelerate launch"
        )
    if int(os.environ.get("RANK", "0")) >= max(world, 1):
        raise ValueError(f"RANK={os.environ['RANK']} of WORLD_SIZE={world}: ranks are counted from 0. Unset both")
