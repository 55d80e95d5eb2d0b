"""`leafdist doctor` among processes: alone, launched, and where one of them dies, hangs or never comes."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from leafdist.config.schema import Config
from leafdist.doctor import examine as doctor
from leafdist.doctor import folders
from leafdist.doctor.all_reduce import among
from leafdist.doctor.diagnosis import Finding, ok
from leafdist.doctor.launch import Launch
from leafdist.doctor.meeting import Meeting
from tests.helpers.doctoring import bad, fine
from tests.helpers.paths import REPO

FOREVER = 10**7  # all-reduces


def adding() -> Iterator[psutil.Process]:
    """The two processes of `among`, when they are connected to each other too, and so in the midst of it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = [one for one in psutil.Process().children() if "leafdist.doctor.all_reduce" in _words(one)]
        connected = [one for one in children if len(one.net_connections("tcp")) > 2 and one.cpu_times().user > 1]
        if len(connected) == 2:
            time.sleep(1)
            yield from connected
            return
        time.sleep(0.1)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def added(harm: str) -> list[Finding]:
    """What two processes say of which the last is harmed while they add up, patience being short."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(lambda: list(among(2, 15, FOREVER)))
        for process in list(adding())[1:]:
            getattr(process, harm)()
        return result.result(90)


@pytest.mark.slow
def test_rank_killed_summing_is_named() -> None:
    found = added("kill")
    assert [one.status for one in found] == ["error", "error"]
    assert "rank 1 of 2 was killed by SIGKILL" in found[1].text
    assert "rank 0 of 2 failed: " in found[0].text
    assert not [one for one in psutil.Process().children() if "leafdist.doctor.all_reduce" in _words(one)]


@pytest.mark.slow
def test_hanging_rank_ends_in_time() -> None:
    found = added("suspend")
    assert [one.status for one in found] == ["error", "error"]
    assert "rank 1 of 2 hangs" in found[1].text


def test_silent_rank_is_an_error() -> None:
    meeting = Meeting(Launch("node1", world=2), 1)
    meeting.hand_over([ok("cpu", "fine")])
    (first, fine), (_, silent) = meeting.collect()
    assert (first, fine.text) == ("node1", "fine")
    assert "rank 1 of 2 did not report within 1 s" in bad(silent, "processes")


def test_unreachable_rank_says_the_address() -> None:
    with pytest.raises(ValueError, match=r"rank 1 on node2 cannot meet the others at 127\.0\.0\.1:9 .*MASTER_ADDR"):
        Meeting(Launch("node2", rank=1, world=2, port=9), 1)


def on_two_nodes(places: tuple[Path, Path]) -> list[Finding]:
    """What the second node says of the folder of the first."""
    first = Meeting(Launch("node1", world=2), 20)
    second = Meeting(Launch("node2", rank=1, world=2, port=first.launch.port), 20)
    thread = threading.Thread(target=lambda: list(folders.check_shared(first, places[0])))
    thread.start()
    try:
        return list(folders.check_shared(second, places[1]))
    finally:
        thread.join(20)
        assert not thread.is_alive()


def test_second_node_sees_locks(tmp_path: Path) -> None:
    assert [one.check for one in fine(on_two_nodes((tmp_path, tmp_path)))] == ["locks"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_launch_is_examined_as_one(tmp_path: Path, photos: Path) -> None:
    """Two processes that accelerate starts; a folder of runs that is a file makes it an error, status 1."""
    (tmp_path / "file").touch()
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    launch += ["--num_processes", "2", "--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"]
    given = [
        "--train.batch_size",
        "4",
        "--model.name",
        "baseline",
        "--data.root",
        str(photos),
        "--track.wandb",
        "off",
        "--data.resize",
        "16",
    ]
    command = [*launch, "-m", "leafdist", "doctor", *given, "--json", "doctor.json"]
    command += ["--run.folder", str(tmp_path / "file" / "runs")]
    variables = os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=variables, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "doctor.json").read_text())
    assert (report["processes"], len(report["nodes"]), report["status"]) == (2, 1, "error")
    texts = {one["check"]: one["text"] for one in report["findings"]}
    assert "gloo over 2 processes" in texts["all-reduce"] or "nccl over 2" in texts["all-reduce"]
    errors = [one for one in report["findings"] if one["status"] == "error"]
    assert [one["check"] for one in errors] == ["runs"], errors
    assert done.stdout.count("all-reduce") == 1


@pytest.mark.parametrize(("cards", "asked", "started"), [(0, None, 2), (1, None, 1), (4, None, 4), (1, 3, 3)])
def test_all_reduce_uses_gpus_or_two(
    cards: int, asked: int | None, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second process on the only GPU would be an error of our own making."""
    counts = list[int]()

    def among(count: int, seconds: float) -> Iterator[Finding]:
        counts.append(count)
        yield ok("all-reduce", f"{seconds} s")

    monkeypatch.setattr("torch.cuda.device_count", lambda: cards)
    monkeypatch.setattr("leafdist.doctor.all_reduce.among", among)
    monkeypatch.setattr(doctor, "of_node", lambda config, launch: ())
    assert len(list(doctor.alone(Config(), Launch("here"), asked, 1.0))) == 1
    assert counts == [started]


def test_wrong_process_count_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from leafdist.__main__ import main

    assert main(["doctor", "--processes", "0"]) == 2
    assert "--processes 0: must be at least 1" in capsys.readouterr().err
