"""What Slurm says of this job, and whether it fits what was launched."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from leafdist.doctor.findings import Finding, error, note, ok, warning
from leafdist.doctor.launch import Launch


def check(variables: Mapping[str, str], launch: Launch) -> Iterator[Finding]:
    """Compare what Slurm says of the job with the processes that there are."""
    expected = variables.get("LEAFDIST_EXPECT_WORLD")
    if expected and expected != str(launch.world):
        way = "accelerate launch needs --multi_gpu above one process, also on CPUs; srun needs RANK, WORLD_SIZE, …"
        yield error("slurm", f"LEAFDIST_EXPECT_WORLD={expected}, and {launch.world} process(es) joined", way)
    if "SLURM_JOB_ID" not in variables:
        yield ok("slurm", "not in a job")
        return
    found = [*check_processes(variables, launch), *check_job(variables)]
    yield from found
    if not found:
        nodes = variables.get("SLURM_JOB_NUM_NODES", "1")
        yield ok("slurm", f"job {variables['SLURM_JOB_ID']} on {nodes} node(s), {launch.world} process(es)")


def check_processes(variables: Mapping[str, str], launch: Launch) -> Iterator[Finding]:
    """Compare the processes with the job's nodes, GPUs, tasks and cores."""
    nodes, gpus = int(variables.get("SLURM_JOB_NUM_NODES") or 1), variables.get("SLURM_GPUS_ON_NODE") or "0"
    tasks, cores = int(variables.get("SLURM_NTASKS") or nodes), variables.get("SLURM_CPUS_ON_NODE", "")
    if nodes > 1 and launch.world < nodes:
        text = f"the job has {nodes} nodes, and {launch.world} process(es) run"
        yield warning("slurm", text, "srun starts one task per node: see slurm/train-multinode.sbatch")
    if gpus.isdecimal() and int(gpus) > launch.local_world > 0 and launch.world > 1:
        text = f"{gpus} GPU(s) on this node, and {launch.local_world} process(es)"
        yield warning("slurm", text, "Start one process per GPU: slurm/launch.sh does")
    if tasks > nodes and launch.world > 1 and tasks != launch.world:
        text = f"SLURM_NTASKS={tasks}, and {launch.world} processes: their shares of the cores are not known"
        yield warning("slurm", text, "--ntasks-per-node=1 with accelerate launch, or one task per process with srun")
    if cores.isdecimal() and int(cores) < launch.local_world:
        text = f"{cores} core(s) on this node for {launch.local_world} processes"
        yield warning("slurm", text, "Ask for more: --cpus-per-task")


def check_job(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Check the job's cores per task, its local disk, and whether it is requeued."""
    if variables.get("SLURM_JOB_CPUS_PER_NODE") and not variables.get("SLURM_CPUS_PER_TASK"):
        text = "no --cpus-per-task: a step started with srun has one core per task"
        yield note("slurm", text, "#SBATCH --cpus-per-task=N, and srun --cpus-per-task=N")
    disk = variables.get("SLURM_TMPDIR")
    if disk is None:
        yield note("slurm", "no SLURM_TMPDIR: data is not staged", "Set it where the nodes have disks of their own")
    elif not Path(disk).is_dir():
        yield error("slurm", f"SLURM_TMPDIR={disk} is no folder on this node", "It must be one path on all nodes")
    command = ["scontrol", "-o", "show", "job", variables["SLURM_JOB_ID"]]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        text = f"scontrol does not work here ({fault}): a job that is interrupted is not requeued"
        yield warning("slurm", text, "Make it available in the container, or submit the same job again each time")
        return
    if "Requeue=0" in shown.stdout.split():
        yield note("slurm", "the job is not requeued after a preemption", "#SBATCH --requeue")
