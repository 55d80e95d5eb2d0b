"""The job scripts on a real Slurm with two nodes, on CPUs: to the end, and cut off on the way there."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.paths import REPO
from tests.helpers.slurm import DOWN, UP, Cluster, Job, finished, free_ports, training

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(not UP.exists() or os.geteuid() != 0, reason=f"needs root and the real Slurm of {UP}"),
]


@pytest.fixture(scope="session")  # tests of other files may run between two of these
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("slurm")
    up = subprocess.run(
        [UP, "-n", "2", "-P", free_ports(3), folder], capture_output=True, text=True, check=False, timeout=300
    )
    assert up.returncode == 0, up.stderr
    exports = dict(re.findall(r"export (\w+)='?([^'\n;]+)'?", up.stdout))
    exports |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
    exports |= {"LEAFDIST_EXPECT_DEVICE": "cpu"}  # its GPUs are stand-ins
    cluster = Cluster(folder, os.environ | exports)
    with Path(exports["SLURM_CONF"]).open("a") as settings:
        settings.write("SlurmdTimeout=15\n")  # 300 s by default, before a node counts as dead
    cluster.call("scontrol", "reconfigure")
    yield cluster
    subprocess.run([DOWN, folder], check=True, capture_output=True, timeout=120)


@pytest.fixture
def job(cluster: Cluster, tmp_path: Path) -> Job:
    for name in ("leafdist", "configs", "slurm"):
        shutil.copytree(REPO / name, tmp_path / name)
    for name in ("train.py", "evaluate.py"):
        shutil.copy(REPO / name, tmp_path)
    return Job(cluster, tmp_path)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_smoke_job_trains_and_evaluates(elsewhere: bool, job: Job) -> None:
    """From another folder, and with nothing of the user's environment, as some sites have it."""
    script = job.checkout / "slurm" / "smoke-cpu.sbatch"
    if elsewhere:
        (folder := job.checkout / "some where").mkdir()
        job.checkout = folder
        python = script.parents[1] / ".venv" / "bin"
        python.mkdir(parents=True)
        (python / "activate").write_text(f"export PATH={Path(sys.executable).parent}:$PATH\n")
        job.submit("--export=NONE", script)
    else:
        job.submit(script)
    assert job.end() == "COMPLETED", job.output
    assert job.output.endswith("it works: this cluster trains and evaluates with leafdist\n")
    assert "2 processes on cpu" in job.output
    assert re.search(r"smoke +0\.\d{4}", job.output)


def test_training_and_evaluation_jobs_finish(job: Job, photos: Path) -> None:
    job.submit("--gres=gpu:2", "slurm/train.sbatch", *training(photos, 3))
    finished(job, 3, restarts=0)
    assert "2 processes on cpu" in job.output
    assert job.submit("slurm/evaluate.sbatch", "runs/smoke", PROCESSES="2").end() == "COMPLETED", job.output
    assert json.loads((job.checkout / "runs" / "smoke" / "eval-test.json").read_text())["images"] == 9


def test_wrong_input_fails_the_job(job: Job) -> None:
    assert job.submit("slurm/train.sbatch", "--optim.lrr", 1).end() == "FAILED"
    assert "optim.lrr: unknown key" in job.output
    assert "requeue" not in job.output
    job.submit("slurm/train.sbatch", "--data.root", "nowhere", PROCESSES="2")
    assert job.end() == "FAILED"
    assert job.cluster.facts(job.id)["ExitCode"] == "2:0"
    assert "nowhere/train does not exist" in job.output
    assert "Traceback" not in job.output


def test_time_limit_requeues_and_resumes(job: Job, photos: Path) -> None:
    """The limit is one minute; Slurm, which looks every 30 s, warns about 44 s after the start."""
    job.submit("--time=1", "--signal=B:USR1@10", "slurm/train.sbatch", *training(photos, 99999), PROCESSES="2")
    job.wait(lambda: len(job.run().get("starts", [])) > 1 and job.trains())
    output = job.output
    job.cluster.call("scancel", job.id)
    assert job.end() == "CANCELLED"
    assert "interrupted by SIGUSR1: saved at step" in output
    assert "Traceback" not in output
    assert "resource_tracker" not in output
    steps = job.steps()
    assert steps == list(range(1, len(steps) + 1))


def test_cancelled_job_saves_and_stays_down(job: Job, photos: Path) -> None:
    """From an archive, staged on the disk that the cluster names: the second job finds the copy there."""
    subprocess.run(["tar", "-C", photos.parent, "-cf", job.checkout / "leaf.tar", photos.name], check=True)
    script, staged = ("slurm/train.sbatch", *training(Path("leaf.tar"), 60)), str(job.checkout / "disk")
    job.submit(*script, PROCESSES="2", SLURM_TMPDIR=staged)
    job.wait(job.trains)
    job.cluster.call("scancel", job.id)
    assert job.end() == "CANCELLED"
    job.wait(lambda: job.run()["state"] == "interrupted", 30)
    assert "interrupted by SIGTERM: saved at step" in job.output
    assert "(there is no copy yet)" in job.output
    time.sleep(8)
    assert job.cluster.facts(job.id)["JobState"] == "CANCELLED"
    job.submit(*script, PROCESSES="2", SLURM_TMPDIR=staged)
    finished(job, 60, restarts=1)
    assert "found leaf.tar staged in" in job.output


@pytest.mark.parametrize("launcher", ["accelerate", "srun"])
def test_two_nodes_preempted_and_requeued(launcher: str, job: Job, photos: Path) -> None:
    """As a cluster preempts: a signal to the processes of the job, not to its shell."""
    job.submit("slurm/train-multinode.sbatch", *training(photos, 60), PROCESSES="1", LAUNCHER=launcher)
    job.wait(job.trains)
    job.cluster.call("scancel", "--signal=USR1", job.id)
    finished(job, 60, restarts=1)
    assert {start["world_size"] for start in job.run()["starts"]} == {2}


def test_dead_node_loses_nothing(job: Job, photos: Path) -> None:
    job.submit("slurm/train-multinode.sbatch", *training(photos, 60), PROCESSES="1")
    job.wait(job.trains)
    daemon = psutil.Process(int((job.cluster.folder / "run" / "slurmd.node2.pid").read_text()))
    restart = daemon.cmdline()
    for process in [daemon, *step_of(job, "node2")]:
        process.kill()
    job.wait(lambda: job.cluster.facts(job.id)["JobState"] != "RUNNING")  # one node is not enough for it
    job.cluster.call(*restart)
    finished(job, 60, restarts=1)


def step_of(job: Job, node: str) -> list[psutil.Process]:
    """All that runs on one node for the job."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if environment.get("SLURM_JOB_ID") == job.id and environment.get("SLURMD_NODENAME") == node:
            found.append(process)
    return found


def test_array_requeues_only_the_task_cut(job: Job, photos: Path) -> None:
    """The last task carries the id of the array itself: its warning and its requeue must not reach the others."""
    long, short = (" ".join(map(str, training(photos, epochs))) for epochs in (60, 2))
    (job.checkout / "rates").write_text(f"{short} --optim.lr 1e-4\n{long} --optim.lr 1e-3\n")
    job.submit("--array=1-2", "slurm/sweep.sbatch", "./rates")
    job.wait(lambda: job.trains("rates-2"))
    job.cluster.call("scancel", "--batch", "--signal=USR1", f"{job.id}_2")
    job.wait(lambda: all(job.run(f"rates-{task}")["state"] == "finished" for task in (1, 2)))
    job.wait(lambda: job.cluster.call("squeue", "-h", "-j", job.id, "-t", "R,PD,CG") == "")
    shown = job.cluster.call("scontrol", "-o", "show", "job", job.id)
    assert set(re.findall(r"JobState=(\w+)", shown)) == {"COMPLETED"}
    restarts = {task: len(job.run(f"rates-{task}")["starts"]) - 1 for task in (1, 2)}
    assert restarts == {1: 0, 2: 1}, shown


def test_doctor_examines_both_nodes(job: Job, photos: Path) -> None:
    settings = ["--config", "configs/smoke.yaml", "--data.root", photos, "--json", "doctor.json"]
    job.submit("--nodes=2", "--gres=gpu:1", "slurm/doctor.sbatch", *settings)
    assert job.end() == "FAILED", job.output
    table = " ".join(job.output.split())
    assert "Slurm gave this job GPUs (1 per node), and there is no NVIDIA driver here" in table
    for words in ("those of node1 in", "gloo over 2 processes", "2 nodes, 2 processes: 1 error"):
        assert words in table
    findings = json.loads((job.checkout / "doctor.json").read_text())["findings"]
    assert {found["check"] for found in findings if found["status"] == "error"} == {"gpu"}
