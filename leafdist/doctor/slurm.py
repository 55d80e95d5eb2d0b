"""What Slurm says of this job, and whether it fits what was launched."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.doctor.launch import Place


def check(variables: Mapping[str, str], place: Place) -> Iterator[Finding]:
    """What Slurm says of the job, against the processes that are there."""
    expected = variables.get("LEAFDIST_EXPECT_WORLD")
    if expected and expected != str(place.world):
        way = "accelerate launch needs --multi_gpu above one process, also on CPUs; srun needs RANK, WORLD_SIZE, …"
        yield error("slurm", f"LEAFDIST_EXPECT_WORLD={expected}, and {place.world} process(es) joined", way)
    if "SLURM_JOB_ID" not in variables:
        yield ok("slurm", "not in a job")
        return
    found = [
        *check_tasks(variables, place),
        *check_cpus(variables, place),
        *check_disk(variables),
        *check_requeue(variables),
    ]
    yield from found
    if all(finding.status == "ok" for finding in found):
        nodes = variables.get("SLURM_JOB_NUM_NODES", "1")
        yield ok("slurm", f"job {variables['SLURM_JOB_ID']} on {nodes} node(s), {place.world} process(es)")


def check_tasks(variables: Mapping[str, str], place: Place) -> Iterator[Finding]:
    """Processes against GPUs, nodes and tasks of the job."""
    nodes, cards = int(variables.get("SLURM_JOB_NUM_NODES") or 1), variables.get("SLURM_GPUS_ON_NODE") or "0"
    tasks = int(variables.get("SLURM_NTASKS") or nodes)
    if nodes > 1 and place.world < nodes:
        text = f"the job has {nodes} nodes, and {place.world} process(es) run"
        yield warning("slurm", text, "srun starts a task a node: see slurm/train-multinode.sbatch")
    if cards.isdecimal() and int(cards) > place.local_world > 0 and place.world > 1:
        text = f"{cards} GPU(s) on this node, and {place.local_world} process(es)"
        yield warning("slurm", text, "Start one process a GPU: slurm/launch.sh does")
    if tasks > nodes and place.world > 1 and tasks != place.world:
        text = f"SLURM_NTASKS={tasks}, and {place.world} processes: their shares of the cores are not known"
        yield warning("slurm", text, "--ntasks-per-node=1 with accelerate launch, or a task a process with srun")


def check_cpus(variables: Mapping[str, str], place: Place) -> Iterator[Finding]:
    here = variables.get("SLURM_CPUS_ON_NODE", "")
    if here.isdecimal() and int(here) < place.local_world:
        text = f"{here} core(s) on this node for {place.local_world} processes"
        yield warning("slurm", text, "Ask for more: --cpus-per-task")
    if variables.get("SLURM_JOB_CPUS_PER_NODE") and not variables.get("SLURM_CPUS_PER_TASK"):
        text = "no --cpus-per-task: a step started with srun has one core a task"
        yield note("slurm", text, "#SBATCH --cpus-per-task=N, and srun --cpus-per-task=N")


def check_disk(variables: Mapping[str, str]) -> Iterator[Finding]:
    """The disk of the node's own, where data is staged."""
    disk = variables.get("SLURM_TMPDIR")
    if disk is None:
        yield note("slurm", "no SLURM_TMPDIR: data is not staged", "Set it where the nodes have disks of their own")
    elif not Path(disk).is_dir():
        yield error("slurm", f"SLURM_TMPDIR={disk} is no folder on this node", "It must be one path on all nodes")


def check_requeue(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the job comes back after its time limit or a preemption."""
    command = ["scontrol", "-o", "show", "job", variables["SLURM_JOB_ID"]]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        text = f"scontrol does not work here ({fault}): a job that is cut off is not requeued"
        yield warning("slurm", text, "Make it reachable inside the container, or submit the same job again each time")
        return
    if "Requeue=0" in shown.stdout.split():
        yield note("slurm", "the job is not requeued after a preemption", "#SBATCH --requeue")
