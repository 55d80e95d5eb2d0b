"""GPUs that compute nothing: PyTorch's CUDA build over a stand-in for CUDA's libraries, of ../shared/nullgpu."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tests.helpers.paths import REPO, SHARED
from tests.helpers.programs import quiet_environment, ranks_of

SOURCE = SHARED / "nullgpu"


class NullGpu:
    """Runs programs with null GPUs; `folder` is where it is built."""

    def __init__(self, folder: Path) -> None:
        if not SOURCE.is_dir():
            pytest.skip("needs ../shared/nullgpu")
        if torch.version.cuda is None:
            pytest.skip("needs a CUDA build of torch")
        self.folder = folder
        if (folder / "libnullcuda.so").exists():
            return
        command = ["bash", str(SOURCE / "build.sh"), str(Path(torch.__file__).parents[1]), str(folder)]
        try:
            built = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("needs bash")
        if built.returncode:
            pytest.skip(f"the null GPU cannot be built without gcc and CUDA's headers: {built.stderr[-300:]}")

    def run(
        self, *command: object, processes: int = 1, compute: bool = False, python: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line of `python` on as many GPUs as processes; with `compute` the CPU does what kernels would.

        Without it sums are zeros, and asserts over them are off.
        """
        launch = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        words = ["-m", *launch, *map(str, command)] if processes > 1 else [*map(str, command)]
        return self._run(words, processes, compute, variables, python=python)

    def run_ranks(self, *command: object, processes: int) -> list[subprocess.CompletedProcess[str]]:
        """Run a Python command line as ranks that no launcher ends; the CPU computes."""
        words = [*map(str, command)]
        with ThreadPoolExecutor(processes) as pool:
            return list(pool.map(lambda rank: self._run(words, processes, True, rank), ranks_of(processes)))

    def _run(
        self, words: list[str], processes: int, compute: bool, variables: dict[str, str], *, python: bool = True
    ) -> subprocess.CompletedProcess[str]:
        names = {"NULLCUDA_DEVICES": str(processes), "PYTHONPATH": str(REPO), "CUDA_VISIBLE_DEVICES": None}
        if compute:
            names |= {"NULLCUDA_COMPUTE": "1", "NULLCUDA_EXCHANGE": "1", "TRITON_INTERPRET": "1"}
            names["PYTHONPATH"] = f"{self.folder / 'site'}:{REPO}"
        environment = quiet_environment() | names | variables
        interpreter = [sys.executable, *([] if compute else ["-O"])] if python else []
        return subprocess.run(
            [str(self.folder / "run.sh"), *interpreter, *words],
            capture_output=True,
            text=True,
            cwd=REPO,
            env={key: value for key, value in environment.items() if value is not None},
            timeout=600,
            check=False,
        )
