"""Ctrl-C: whatever a command does at that moment, it ends soon, with status 130 and without a traceback."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.paths import REPO
from tests.helpers.programs import quiet_environment

WORK = {
    "plain work": "time.sleep(60)",
    "a pool that waits for its tasks": (
        "pool = ThreadPoolExecutor(2)\nwith pool:\n  [pool.submit(time.sleep, 60) for _ in range(9)]"
    ),
    "helpers": "list(share_out(time.sleep, [60] * 9, 3))",
    "a finalizer that swallows exceptions": (
        "class Late:\n  def __del__(self):\n    time.sleep(60)\nLate()\nprint('went on')\ntime.sleep(60)"
    ),
    "C code that hears no signal": "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
    "an exit that waits": "import atexit\natexit.register(time.sleep, 60)\ntime.sleep(60)",
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("moment", [0.0, 1.5])
def test_ctrl_c_ends_a_command(work: str, moment: float, tmp_path: Path) -> None:
    lines = "\n".join(f"  {line}" for line in WORK[work].splitlines())
    script = tmp_path / "command.py"
    script.write_text(
        "import sys, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from leafdist import __main__\nfrom leafdist.system.processes import share_out\n"
        f"def parse(arguments):\n  print('ready', flush=True)\n{lines}\n"
        "__main__.parse = parse\nif __name__ == '__main__':\n  sys.exit(__main__.main())\n"
    )
    environment = quiet_environment() | {"PYTHONPATH": str(REPO)}
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "went on" not in out
