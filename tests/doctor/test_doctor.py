"""`leafdist doctor`: packages that do not fit, where a process stands, what many nodes say."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafdist.doctor import packages
from leafdist.doctor.diagnosis import Finding, error, ok, report
from leafdist.doctor.examine import safely
from leafdist.doctor.launch import Launch, find_launch
from tests.helpers.doctoring import bad, fine
from tests.helpers.paths import REPO


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages' descriptions that comes before the real ones."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def conflicts(site: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What pip finds with these packages before the real ones."""
    monkeypatch.setenv("PYTHONPATH", str(site))
    return list(packages.check_needs())


def describe(site: Path, name: str, version: str, *lines: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
    )


def test_conflicting_packages_are_found(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(fake, "torchvision", "0.19.0", "Requires-Dist: torch==2.4.0", "Requires-Dist: nowhere>=1")
    describe(fake, "other", "1.0", "Requires-Dist: torch==2.4.0")
    found = {one.text.split(", but")[0]: one.status for one in conflicts(fake, monkeypatch)}
    assert found["torchvision 0.19.0 has requirement torch==2.4.0"] == "error"
    assert found["torchvision 0.19.0 requires nowhere, which is not installed"] == "error"
    assert found["other 1.0 has requirement torch==2.4.0"] == "warning"


def test_pillow_simd_stands_for_pillow(fake: Path) -> None:
    line = "torchvision 0.29.1 requires pillow, which is not installed."
    assert "requires pillow" in bad(packages.judge([line]), "packages")
    describe(fake, "pillow-simd", "12.1.1.post0")
    fine(packages.judge([line]))


def test_failing_import_is_a_finding(fake: Path) -> None:
    (fake / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    command = [sys.executable, "-m", "leafdist", "doctor", "--json"]
    environment = os.environ | {"PYTHONPATH": f"{fake}:{REPO}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "import torchvision fails: operator torchvision::nms does not exist" in done.stdout
    assert "Traceback" not in done.stderr


def test_two_pillows_are_noticed(fake: Path) -> None:
    assert "pillow" in fine(packages.check_pillow())[0].text
    describe(fake, "pillow-simd", "12.1.1.post0")
    assert "both installed" in bad(packages.check_pillow(), "pillow", "warning")


def test_broken_check_is_a_finding() -> None:
    def breaks() -> Iterator[Finding]:
        yield ok("odd", "so far")
        raise ZeroDivisionError("by nought")

    found = list(safely("odd", breaks))
    assert found[0].status == "ok"
    assert "ZeroDivisionError: by nought" in bad(found, "odd")


def test_equal_node_lines_merge_with_ranges() -> None:
    rates, text = {"a": 1200.0, "b": 900.0}, "writes {rate:,.0f} MB/s"
    found = [(node, ok("disk", text, figures={"rate": rate})) for node, rate in rates.items()]
    whole = report([*found, ("a", ok("gpu", "none")), ("b", error("disk", "no {locks}", "fix"))], 2, 1.0)
    assert [(one.text, list(one.nodes)) for one in whole.findings] == [
        ("writes 900 to 1,200 MB/s", ["a", "b"]),
        ("no {locks}", ["b"]),
        ("none", ["a"]),
    ]
    assert (whole.status, whole.nodes) == ("error", ["a", "b"])


def test_rank_is_read_from_any_launcher() -> None:
    assert find_launch({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}).world == 1  # a batch script, no step
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_STEP_NODELIST": "gpu[07-08]"}
    task = step | {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "5", "SLURMD_NODENAME": "gpu08"}
    launch = find_launch(task | {"SLURM_NODEID": "1"})
    assert launch == Launch("gpu08", 3, 4, 1, 2, "gpu07", 10005)
    with pytest.raises(ValueError, match="MASTER_ADDR, MASTER_PORT not set"):
        find_launch({"WORLD_SIZE": "2", "RANK": "0"})
