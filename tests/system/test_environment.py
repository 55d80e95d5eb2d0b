"""The environment decides nothing that is computed, and half a launch is refused by name."""

import os
import sys
from collections.abc import Mapping

import pytest

from leafdist.system import environment

LAUNCH = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stands for os.environ, in a process that has not imported torch."""
    own = dict[str, str]()
    monkeypatch.setattr(os, "environ", own)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return own


def left(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not name.startswith("PYTEST")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, "ACCELERATE_DYNAMO_BACKEND=INDUCTOR (train.compile decides)"),
        ({"ACCELERATE_MIXED_PRECISION": "fp8"}, "ACCELERATE_MIXED_PRECISION=fp8 (train.precision decides)"),
        ({"ACCELERATE_DYNAMO_BACKEND": "no", "ACCELERATE_MIXED_PRECISION": "no"}, ""),
        ({"FSDP_VERSION": "2", "MEGATRON_LM_TP_DEGREE": "x", "FORK_LAUNCHED": "maybe"}, ""),
        ({"CUBLAS_WORKSPACE_CONFIG": ":16:8"}, ""),
        ({"NVIDIA_TF32_OVERRIDE": "0"}, "NVIDIA_TF32_OVERRIDE=0"),
        ({"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2"}, "ATEN_CPU_CAPABILITY=avx2, MKL_CBWR=COMPATIBLE"),
        ({"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1"),
        ({"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}, "ONEDNN_DEFAULT_FPMATH_MODE=BF16"),
    ],
)
def test_what_changes_numbers_is_removed(
    given: dict[str, str], said: str, variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    variables.update(given)
    environment.settle()
    assert left(variables) == {}
    assert capsys.readouterr().err.rpartition("computed: ")[2].strip() == said


def test_files_logs_and_memory_are_kept(variables: dict[str, str]) -> None:
    names = "TORCH_HOME TORCHINDUCTOR_CACHE_DIR TORCH_NCCL_BLOCKING_WAIT OMP_NUM_THREADS"
    names += " TORCH_LOGS TORCH_DISTRIBUTED_DEBUG CUDNN_VERSION TORCH_CUDA_ARCH_LIST HOME HF_HOME NCCL_DEBUG"
    kept = dict.fromkeys(names.split(), "1") | {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    variables.update(kept)
    environment.settle()
    assert left(variables) == kept


def test_cpu_launches_see_no_gpu(variables: dict[str, str]) -> None:
    variables["ACCELERATE_USE_CPU"] = "true"
    environment.settle()
    assert left(variables) == {"CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED", "MEGATRON_LM", "PARALLELISM_CONFIG"])
def test_sharded_training_is_refused(name: str, variables: dict[str, str]) -> None:
    variables[f"ACCELERATE_USE_{name}"] = "true"
    with pytest.raises(ValueError, match=f"ACCELERATE_USE_{name}=true: each process trains a whole copy"):
        environment.settle()


@pytest.mark.parametrize("value", ["offline", "1,2", "max_split_size_mb"])
def test_memory_settings_have_a_form(value: str, variables: dict[str, str]) -> None:
    """Torch would abort."""
    variables["PYTORCH_CUDA_ALLOC_CONF"] = value
    with pytest.raises(ValueError, match=r"PYTORCH_CUDA_ALLOC_CONF=.* is not of the form"):
        environment.settle()


def test_a_failed_import_names_the_variable(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise ImportError("bad")

    monkeypatch.setattr(environment, "import_module", fail)
    with pytest.raises(ImportError, match="bad"):
        environment.settle_and_import()
    variables["TORCH_LOGS"] = "+nothing"
    with pytest.raises(ValueError, match=r"torch cannot be imported \(bad\). Unset .*TORCH_LOGS=\+nothing"):
        environment.settle_and_import()


def test_settings_that_torch_read_are_refused(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    variables["ATEN_CPU_CAPABILITY"] = "default"
    with pytest.raises(ValueError, match=r"ATEN_CPU_CAPABILITY would change .* start Python anew"):
        environment.settle()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "OMPI_COMM_WORLD_SIZE=4, and WORLD_SIZE is not set"),
        ({"PMI_SIZE": "2", "RANK": "0"}, "PMI_SIZE=2, and WORLD_SIZE"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "these are not set: MASTER_ADDR, MASTER_PORT"),
        (LAUNCH | {"RANK": "2"}, "RANK=2 of WORLD_SIZE=2"),
        (LAUNCH | {"LOCAL_RANK": "first"}, "LOCAL_RANK=first is no whole number"),
        ({"SLURM_CPUS_PER_TASK": "2(x3)"}, "SLURM_CPUS_PER_TASK=2"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE=-1 is no"),
    ],
)
def test_half_a_launch_is_refused(given: Mapping[str, str], fault: str, variables: dict[str, str]) -> None:
    variables.update(given)
    with pytest.raises(ValueError, match=fault):
        environment.settle_launch()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (LAUNCH | {"PMI_SIZE": "8", "PMI_RANK": "3"}, LAUNCH),
        ({"RANK": "7", "LOCAL_RANK": "-1", "WORLD_SIZE": ""}, {}),
        ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0", "LOCAL_RANK": "0"}, {}),
        ({"WORLD_SIZE": "1", "RANK": "0"}, {"WORLD_SIZE": "1"}),
    ],
)
def test_leftovers_of_launches_are_forgotten(
    given: Mapping[str, str], kept: Mapping[str, str], variables: dict[str, str]
) -> None:
    variables.update(given)
    environment.settle_launch()
    assert left(variables) == kept
