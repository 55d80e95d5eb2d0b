"""Faults of one rank of two under NCCL's host side, and no launcher that would end the other one."""

import json
from pathlib import Path

import pytest

from tests.helpers.null_gpu import NullGpu
from tests.helpers.programs import TINY

pytestmark = [pytest.mark.slow, pytest.mark.nullgpu]
PLACED = ("--data.placement", "host", "--train.timeout_minutes", 0.2, "--train.epochs", 4, "--run.name", "run")


OUTCOMES = {  # statuses, state of the run, reason
    "starve": ((75, 75), "interrupted", "it hangs reading photos: the disk of the photos or packs does not answer"),
    "kill": ((75, -9), "interrupted", "it died without a word"),
    "stop": ((75, 75), "interrupted", "interrupted by SIGTERM: saved at step 8"),  # told at 6, in the validation
    "fill": ((1, 1), "failed", "OSError: out of memory with 1 photo at once. Set train.max_rows=1 or lower"),
}


@pytest.mark.parametrize("fault", OUTCOMES)
def test_failing_gpu_rank_is_named(fault: str, null_gpu: NullGpu, photos: Path) -> None:
    statuses, state, why = OUTCOMES[fault]
    runs = photos.parent / "runs"
    command = "tests/faults/faulty_train.py", fault, 1, "--data.root", photos, *TINY, "--run.folder", runs, *PLACED
    done = null_gpu.run_ranks(*command, processes=2)
    assert fault == "stop" or f"rank 0: rank 1 was the first to fail: {why}" in done[0].stderr
    assert tuple(rank.returncode for rank in done) == statuses
    assert ("rank 1: no step for" in done[1].stderr) == (fault == "starve"), "its stacks"
    record = json.loads((runs / "run" / "run.json").read_text())
    assert record["state"] == state
    assert why in record["reason"]


def test_full_gpu_names_what_lacks_room(null_gpu: NullGpu, photos: Path) -> None:
    done = null_gpu.run("-m", "tests.helpers.full_device", photos)
    assert done.returncode == 0, done.stderr
    way_out = "Close what else holds some of it"
    assert f"out of memory for the optimizer's averages. {way_out}" in done.stdout
    assert f"out of memory for the network's gradients. {way_out}" in done.stdout
    resident = "Set data.placement=host: the packs leave the device. If that is not enough: Close"
    assert f"out of memory in evaluation, with 256 photos at once. {resident}" in done.stdout
