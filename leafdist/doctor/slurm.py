"""What Slurm says of this job, and whether it fits what was launched."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.doctor.launch import Launch
from leafdist.system.console import counted


def check(variables: Mapping[str, str], launch: Launch) -> Iterator[Finding]:
    """Compare what Slurm says of the job with the processes that there are."""
    expected = variables.get("LEAFDIST_EXPECT_WORLD")
    joined = counted(launch.world, "process")
    if expected and expected != str(launch.world):
        way = "accelerate launch needs --multi_gpu above one process, also on CPUs; srun needs RANK, WORLD_SIZE, …"
        yield error("slurm", f"LEAFDIST_EXPECT_WORLD={expected}, and {joined} joined", way)
    if "SLURM_JOB_ID" not in variables:
        yield ok("slurm", "not in a job")
        return
    nodes, gpus = int(variables.get("SLURM_JOB_NUM_NODES") or 1), variables.get("SLURM_GPUS_ON_NODE") or "0"
    text = f"job {variables['SLURM_JOB_ID']} on {counted(nodes, 'node')}, {joined}"
    if launch.world < nodes:
        yield warning("slurm", text, "srun starts one task per node: see slurm/train-multinode.sbatch")
    elif gpus.isdecimal() and int(gpus) > launch.local_world and launch.world > 1:
        here = counted(launch.local_world, "process")
        text = f"{counted(int(gpus), 'GPU')} on this node, and {here}"
        yield warning("slurm", text, "Start one process per GPU: slurm/launch.sh does")
    else:
        yield ok("slurm", text)
    if not Path(disk := variables.get("SLURM_TMPDIR", "/")).is_dir():
        yield error("slurm", f"SLURM_TMPDIR={disk} is no folder on this node", "It must be one path on all nodes")
    yield from check_requeue(variables["SLURM_JOB_ID"])


def check_requeue(job: str) -> Iterator[Finding]:
    """Check that the job is requeued when it is cut short."""
    command = ["scontrol", "-o", "show", "job", job]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        text = f"scontrol does not work here ({fault}): a job that is interrupted is not requeued"
        yield warning("slurm", text, "Make it available in the container, or submit the same job again each time")
        return
    if "Requeue=0" in shown.stdout.split():
        yield note("slurm", "the job is not requeued after a preemption", "#SBATCH --requeue")
