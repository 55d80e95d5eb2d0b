"""A model of the step and the epoch for 1 to 1,024 GPUs, as in docs/scaling.md: python benchmarks/scaling.py.

Nothing here was run on a GPU. Each constant says where it comes from; docs/scaling.md says what follows.
"""

from dataclasses import dataclass

GPUS, PHOTOS = (1, 8, 64, 1024), (40_000, 1_000_000, 100_000_000)
NODE = 8  # GPUs


@dataclass(frozen=True)
class Constants:
    """Seconds, bytes and operations."""

    flops: float = 1.724e9  # forward and backward of a photo of 52 pixels: torch.utils.flop_counter
    peak: float = 989e12  # H100 SXM, bf16, dense: NVIDIA's data sheet
    utilisation: float = 0.10  # ASSUMED: small maps
    launches: int = 875  # of a step in bf16: counted, benchmarks/launches.py
    launches_ddp: int = 1_045  # with DistributedDataParallel: counted
    launch: float = 11e-6  # host's time a launch, autograd and Python included: measured on a virtual machine, no GPU
    gradient: float = 4 * 23.58e6  # bytes: ResNet-50 with 33 classes, fp32
    nvlink: float = 450e9  # bytes a second, one way: NVIDIA's data sheet
    network: float = 50e9  # bytes a second and GPU: NDR InfiniBand, 400 Gb/s, a port a GPU
    hop: float = 5e-6  # ASSUMED: latency of a hop of a ring
    overlap: float = 0.6  # ASSUMED: share of the step behind which DDP hides its reduction
    gloo_hop: float = 30e-6  # ASSUMED: between nodes; 0.7 ms was measured with 2 to 8 processes on 2 cores
    gather: float = 206_486  # photos a second and core: measured, leaf64 (docs/performance.md)
    share: float = 0.48e-3  # a rank's part of a batch of 262,144 of 100 million: measured
    checkpoint: float = 3 * 4 * 23.58e6  # bytes: weights and Adam's two moments
    disk: float = 2e9  # bytes a second, shared file system: ASSUMED
    scan: float = 46_000  # files a second, warm, local disk: measured
    stat: float = 2e-3  # ASSUMED: seconds a file, cold, over a network
    verify: float = 2.1e9  # bytes a second and node, of a pack: measured


def ring(gpus: int, c: Constants) -> float:
    """Seconds of an all-reduce of the gradient: bandwidth and latency of a ring (Patarasuk and Yuan 2009)."""
    if gpus == 1:
        return 0.0
    speed = c.nvlink if gpus <= NODE else c.network
    return 2 * (gpus - 1) / gpus * c.gradient / speed + 2 * (gpus - 1) * c.hop


def step(gpus: int, rows: float, c: Constants) -> dict[str, float]:
    """Milliseconds of a step with so many rows per GPU, part by part; host and device run in parallel."""
    arithmetic = rows * c.flops / (c.peak * c.utilisation)
    compute = max(arithmetic, (c.launches_ddp if gpus > 1 else c.launches) * c.launch)
    reduce = ring(gpus, c)
    exposed = max(0.0, reduce - c.overlap * compute)
    heed = 2 * (gpus - 1) * c.gloo_hop / max(4, gpus // 8)
    host = c.share + rows / c.gather
    total = max(compute + exposed + heed, host)
    parts = {"arithmetic": arithmetic, "compute": compute, "all-reduce": reduce, "exposed": exposed, "heed": heed}
    return {name: 1e3 * seconds for name, seconds in (parts | {"host": host, "step": total}).items()}


def table(title: str, per_gpu: int | None, c: Constants) -> None:
    """With so many rows per GPU, or 256 over all; efficiency: photos per second and GPU against those of one."""
    columns = "arithmetic | compute | all-reduce | not hidden | agreement | host | step, ms | photos/s | efficiency"
    print(f"\n{title}\n\n| GPUs | rows a GPU | {columns} |\n|" + " --- |" * 11)
    alone = 256 / step(1, 256, c)["step"] * 1e3
    for gpus in GPUS:
        rows = per_gpu or 256 / gpus
        parts = step(gpus, rows, c)
        rate = gpus * rows / parts["step"] * 1e3
        values = " | ".join(f"{value:.2f}" for value in parts.values())
        print(f"| {gpus:,} | {rows:g} | {values} | {rate:,.0f} | {rate / gpus / alone:.3f} |")


def around(c: Constants) -> None:
    """What surrounds the steps, by photos: one scan, one read of the pack a node, an epoch on 1,024 GPUs."""
    print("\n| photos | pack | scan, local disk | scan, cold network | read and verified | epoch, 1 GPU | 1,024 GPUs |")
    print("|" + " --- |" * 7)
    for photos in PHOTOS:
        size = photos * 64 * 64 * 3
        read = size / min(c.verify, c.disk)
        epochs = [photos / (gpus * 256) * step(gpus, 256, c)["step"] / 1e3 for gpus in (1, 1024)]
        times = [photos / c.scan, photos * c.stat, read, *epochs]
        print(f"| {photos:,} | {size / 1e9:,.1f} GB | " + " | ".join(f"{seconds:,.1f} s" for seconds in times) + " |")
    print(f"\ncheckpoint: {c.checkpoint / 1e6:.0f} MB, {c.checkpoint / c.disk:.2f} s beside the training")


if __name__ == "__main__":
    constants = Constants()
    table("Global batch of 256, as the protocol's", None, constants)
    table("256 rows a GPU", 256, constants)
    around(constants)
