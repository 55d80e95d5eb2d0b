"""`leafdist doctor`: packages that do not fit, where a process stands, what many nodes say."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafdist.doctor import packages
from leafdist.doctor.diagnosis import Finding, merge, ok, worst
from leafdist.doctor.examine import safely
from leafdist.doctor.launch import Place, find_place
from tests.helpers.doctoring import bad, fine
from tests.helpers.paths import REPO


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages' descriptions that comes before the real ones."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def describe(site: Path, name: str, version: str, *lines: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
    )


def test_conflicting_packages_are_found(fake: Path) -> None:
    fine(packages.check_needs())
    describe(fake, "torchvision", "0.19.0", "Requires-Dist: torch==2.4.0")
    wrong = [one for one in packages.check_needs() if one.status == "error"]
    texts = " ".join(one.text for one in wrong)
    assert "torchvision 0.19.0 needs torch==2.4.0, installed is" in texts
    assert "needs torchvision>=0.24, installed is 0.19.0" in texts


def test_old_or_missing_package_is_named(fake: Path) -> None:
    describe(fake, "accelerate", "0.20.0", "Requires-Dist: nowhere>=1")
    wrong = [one for one in packages.check_needs() if one.status == "error"]
    assert {one.text.split(",")[1].strip() for one in wrong} == {"installed is 0.20.0", "which is not installed"}
    assert "pip install 'accelerate>=1.10'" in " ".join(one.way_out for one in wrong)


def test_python_itself_may_be_too_old(fake: Path) -> None:
    describe(fake, "leafdist", "9.0", "Requires-Python: >=3.99")
    assert "leafdist needs >=3.99" in bad(packages.check_python(), "python")


def test_failing_import_is_a_finding(fake: Path) -> None:
    (fake / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    command = [sys.executable, "-m", "leafdist", "doctor", "--json"]
    environment = os.environ | {"PYTHONPATH": f"{fake}:{REPO}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "import torchvision fails: operator torchvision::nms does not exist" in done.stdout
    assert "Traceback" not in done.stderr


def test_two_pillows_are_noticed(fake: Path) -> None:
    assert "Pillow" in fine(packages.check_pillow())[0].text
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
    found = [(node, ok("disk", "writes {rate:,.0f} MB/s", rate=rate)) for node, rate in (("a", 1200.0), ("b", 900.0))]
    merged = merge([*found, ("a", ok("gpu", "none")), ("b", Finding("disk", "error", "no {locks}", "mend"))])
    assert [(one.rendered(), list(one.nodes)) for one in merged] == [
        ("writes 900 to 1,200 MB/s", ["a", "b"]),
        ("no {locks}", ["b"]),
        ("none", ["a"]),
    ]
    assert worst(merged) == "error"


def test_rank_is_read_from_any_launcher() -> None:
    assert find_place({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}).world == 1  # a batch script, no step
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_STEP_NODELIST": "gpu[07-08]"}
    task = step | {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "5", "SLURMD_NODENAME": "gpu08"}
    place = find_place(task | {"SLURM_NODEID": "1"})
    assert place == Place("gpu08", 3, 4, 1, 2, "srun", "gpu07", 10005)
    with pytest.raises(ValueError, match="MASTER_ADDR, MASTER_PORT not set"):
        find_place({"WORLD_SIZE": "2", "RANK": "0"})
