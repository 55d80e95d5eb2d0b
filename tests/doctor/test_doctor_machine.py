"""`leafdist doctor`: devices, cores, memory and disks, each provoked where that can be."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, RunConfig, TrainConfig
from leafdist.distributed.devices import why_no_gpu
from leafdist.doctor import cores, decoding, folders, gpus
from leafdist.doctor.diagnosis import Finding
from leafdist.system import contention
from tests.helpers.doctoring import HERE, bad, fine, settings
from tests.helpers.photos import CLASSES


def without_gpu(root: Path) -> Finding:
    missing = why_no_gpu(root)
    assert missing
    return gpus.without_gpu(missing)


def test_gpu_without_driver_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build with CUDA, as from PyPI, on a machine that has an NVIDIA device, as far as one can see."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "that PyTorch" in bad(without_gpu(tmp_path), "gpu")
    old = "The NVIDIA driver on your system is too old (found version 11040)"

    def init() -> None:
        raise RuntimeError(old)

    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setattr("torch.cuda.init", init)
    assert old in bad(without_gpu(tmp_path), "gpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "hidden" in fine(without_gpu(tmp_path))[0].text


def test_invisible_slurm_gpus_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine(without_gpu(tmp_path))
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "2")
    assert "gave this job GPUs (2 per node)" in bad(without_gpu(tmp_path), "gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has fp16")
def test_unsupported_precision_is_an_error() -> None:
    fine(gpus.check_precision(settings()))
    assert "no gradient scaling" in bad(gpus.check_precision(settings(train=TrainConfig(precision="fp16"))), "bf16")


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other program uses the cores."""
    monkeypatch.setattr(contention, "busy", lambda cores: 0.0)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.usefixtures("idle")
def test_single_core_affinity_is_reported() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # as taskset does
    try:
        assert "one core of this machine" in bad(cores.check_cores(settings(), HERE), "cpu", "warning")
        three = replace(HERE, world=3, local_world=3)
        assert "3 processes share 1 core" in bad(cores.check_cores(settings(), three), "cpu", "warning")
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("idle")
def test_more_workers_than_cores_is_reported() -> None:
    data = DataConfig(source="folder", workers=4096)
    assert "data.workers=4096 per process" in bad(cores.check_cores(settings(data=data), HERE), "cpu", "warning")


@pytest.fixture
def throttled() -> Iterator[None]:
    """This process in a real cgroup of version 1, with half a core."""
    top = Path("/sys/fs/cgroup/cpu")
    before = next((line for line in Path("/proc/self/cgroup").read_text().split() if ":cpu:" in line), "::/")
    group = top / f"leafdist-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("50000")
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as fault:
        pytest.skip(f"no cgroup can be made here: {fault}")
    yield
    (top / before.split(":")[2].lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))
    group.rmdir()


@pytest.mark.usefixtures("throttled")
def test_real_cgroup_quota_is_reported() -> None:
    assert "a cgroup quota allows 0.5 of" in bad(cores.check_cores(settings(), HERE), "cpu", "warning")


def test_little_shared_memory_names_the_need(small_disk: Path, tmp_path: Path) -> None:
    data = DataConfig(source="folder", workers=2, resize=64)
    text = bad(cores.check_shared_memory(settings(data=data), HERE, small_disk), "shared memory", "warning")
    assert "0 MiB free" in text
    assert "76 MiB may be needed" in text  # 2 workers x 2 batches of 256 x 64 x 64 x 3 bytes, and 64 MiB
    fine(cores.check_shared_memory(settings(), HERE, tmp_path))
    assert "missing" in bad(cores.check_shared_memory(settings(), HERE, tmp_path / "no"), "shared memory", "warning")


def runs_in(folder: Path, **sections: object) -> Config:
    return settings(run=RunConfig(folder=str(folder)), **sections)


def test_full_disk_is_an_error(small_disk: Path, tmp_path: Path) -> None:
    found = fine(folders.check_runs(runs_in(tmp_path / "not" / "there")))
    assert {one.check for one in found} == {"locks", "runs"}
    assert list(tmp_path.iterdir()) == [small_disk]
    assert "cannot be written: No space left" in bad(
        [one for one in folders.check_runs(runs_in(small_disk / "runs")) if one.check == "runs"], "runs"
    )
    assert list(small_disk.iterdir()) == []


@pytest.fixture
def mounted(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own with these options, a file in it written before it got them."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    subprocess.run(["mount", "-o", f"remount,{request.param}", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("mounted", ["ro"], indirect=True)
def test_unwritable_folder_is_an_error(mounted: Path) -> None:
    assert "cannot be written: Read-only file system" in bad(folders.check_runs(runs_in(mounted)), "runs")


@pytest.mark.parametrize("mounted", ["size=200m"], indirect=True)
def test_no_room_for_checkpoints_is_error(mounted: Path) -> None:
    """ResNet-50 with Adam needs about 300 MiB for one, and four of them may lie there at once."""
    fine(folders.check_runs(runs_in(mounted)))
    resnet = resolve(Config(run=RunConfig(folder=str(mounted))))
    assert 280 < folders.checkpoint_bytes(resnet) / 2**20 < 310
    assert "MB/s, 1.1 GiB may be needed" in bad(folders.check_runs(resnet), "runs")


@pytest.mark.parametrize("mounted", ["size=100m"], indirect=True)
def test_no_room_for_packs_is_error(mounted: Path, photos: Path) -> None:
    data = DataConfig(root=str(photos), cache=str(mounted), resize=2000)
    assert "data.cache" in bad(folders.check_cache(settings(data=data)), "packs")
    fine(folders.check_cache(settings(data=replace(data, resize=760))))  # 58 MiB
    (mounted / "other-760-12345678-0.u8").write_bytes(bytes(50 << 20))
    bad(folders.check_cache(settings(data=replace(data, resize=760))), "packs")


@pytest.mark.parametrize("mounted", ["size=100m"], indirect=True)
def test_packs_of_fold_need_room(mounted: Path, photos: Path) -> None:
    shutil.copytree(photos, mounted / "fold-0")
    data = DataConfig(root=str(mounted), fold=0, resize=2000)
    text = bad(folders.check_cache(settings(data=data)), "packs")
    assert str(mounted / "fold-0" / ".leafdist") in text


def test_slow_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "write_speed", lambda path: 5.0)
    text = bad(folders.check_runs(resolve(Config(run=RunConfig(folder=str(tmp_path))))), "runs", "warning")
    assert "takes long" in text


def test_missing_locks_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    assert "has no locks" in bad(folders.check_runs(runs_in(tmp_path)), "locks", "warning")


def test_node_local_locks_are_reported(tmp_path: Path) -> None:
    """As seen from the other node: the file is there, and nobody holds it."""
    path = tmp_path / "runs" / "inside" / "probe"
    assert "is another folder here" in bad(folders.look(path, "node1"), "runs", "warning")
    path.parent.mkdir(parents=True)
    path.touch()
    assert "is not seen here" in bad(folders.look(path, "node1"), "locks", "warning")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fine(folders.look(path, "node1"))


def test_empty_folder_and_bad_photos_reported(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "SECONDS", 0.3)
    data, small = DataConfig(root=str(photos), source="folder"), TrainConfig(batch_size=2)
    assert "a core decodes" in fine(decoding.check_photos(settings(data=data, train=small), HERE))[0].text
    (photos / "train" / CLASSES[0] / "000.png").write_bytes(b"no photo")
    wrong = bad(decoding.check_photos(settings(data=data, train=small), HERE), "photos", "warning")
    assert "000.png cannot be decoded" in wrong
    assert "leafdist audit" in wrong
    nowhere = DataConfig(root=str(tmp_path / "nowhere"))
    assert "nowhere/train does not exist" in bad(
        decoding.check_photos(settings(data=nowhere, train=small), HERE), "photos"
    )
    fine(decoding.check_photos(settings(train=small), HERE))  # the default is not there, and nobody asked for it


def test_fast_device_waits_for_folder_only() -> None:
    folder, pack = DataConfig(source="folder"), DataConfig(source="pack")
    many = 10.0 * 4096
    assert "cores that keep up with the device: 4096" in bad(
        decoding.verdict(folder, 10.0, many, 100, "it"), "photos", "warning"
    )
    assert "once for a pack" in fine(decoding.verdict(pack, 10.0, many, 100, "it"))[0].text
    fine(decoding.verdict(folder, 100.0, 50.0, 100, "it"))
