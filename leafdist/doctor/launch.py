"""This process among those of its launch: by accelerate, by torchrun, by `srun leafdist doctor`, or alone."""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass

PORTS = (10000, 20000)  # first port and number of ports, as in slurm/launch.sh


@dataclass(frozen=True)
class Launch:
    """The processes of a launch and which of them this is; `address` and `port` are those of rank 0's store."""

    node: str
    rank: int = 0
    world: int = 1
    local_rank: int = 0  # 0: the one process per node that looks at what the node's processes share
    local_world: int = 1
    address: str = "127.0.0.1"
    port: int = 0


def find_launch(variables: Mapping[str, str]) -> Launch:
    """Read the environment. Raises ValueError where a launcher left it incomplete."""
    node = variables.get("SLURMD_NODENAME") or platform.node()
    if int(variables.get("WORLD_SIZE") or 1) > 1:
        return _launched(node, variables)
    if int(variables.get("SLURM_STEP_NUM_TASKS") or 1) > 1:
        return _by_srun(node, variables)
    return Launch(node)


def _launched(node: str, variables: Mapping[str, str]) -> Launch:
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not variables.get(name)]
    if missing:
        raise ValueError(
            f"WORLD_SIZE={variables['WORLD_SIZE']}, but {', '.join(missing)} not set: export RANK, WORLD_SIZE, "
            "LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as slurm/launch.sh does, or use accelerate launch"
        )
    world, rank = int(variables["WORLD_SIZE"]), int(variables["RANK"])
    local = int(variables.get("LOCAL_WORLD_SIZE") or _tasks_here(variables) or world)
    local_rank = int(variables.get("LOCAL_RANK") or rank % local)
    return Launch(node, rank, world, local_rank, local, variables["MASTER_ADDR"], int(variables["MASTER_PORT"]))


def _by_srun(node: str, variables: Mapping[str, str]) -> Launch:
    """One process per task and no launcher: Slurm's own variables are enough."""
    first, ports = PORTS
    port = int(variables.get("MASTER_PORT") or first + int(variables["SLURM_JOB_ID"]) % ports)
    rank, world, local_rank = (int(variables[f"SLURM_{name}"]) for name in ("PROCID", "STEP_NUM_TASKS", "LOCALID"))
    address = first_host(variables["SLURM_STEP_NODELIST"])
    return Launch(node, rank, world, local_rank, _tasks_here(variables) or 1, address, port)


def first_host(nodes: str) -> str:
    """Return node3 of `node[3-4,7],other`, Slurm's short form; a container may have no scontrol to ask."""
    name = re.match(r"([^\[,]+)(?:\[(\d+)[^\]]*\]([^,]*))?", nodes)
    assert name, nodes
    return "".join(part or "" for part in name.groups())


def _tasks_here(variables: Mapping[str, str]) -> int | None:
    """Tasks on this node; `2(x3),1` means two on each of three nodes and one on the fourth."""
    counts: list[int] = []
    for part in filter(None, variables.get("SLURM_STEP_TASKS_PER_NODE", "").split(",")):
        count, _, times = part.rstrip(")").partition("(x")
        counts += [int(count)] * int(times or 1)
    node = int(variables.get("SLURM_NODEID") or 0)
    return counts[node] if node < len(counts) else None
