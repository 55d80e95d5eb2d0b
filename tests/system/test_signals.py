"""Signals set a flag; processes started for us do not see them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from leafdist.system import signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signals.STOPPING}
    signals.install()
    yield
    signals._received.clear()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", signals.STOPPING)
def test_signal_only_sets_a_flag(number: signal.Signals) -> None:
    assert signals.received() is None
    signals.check()
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.received() == number.name, "the first one counts"
    assert 0 <= signals.seconds_since() < 1
    with pytest.raises(signals.Interrupted, match=number.name):
        signals.check()


def test_handlers_are_put_back() -> None:
    """As a notebook needs that calls `train.main`, in its main thread or in another one."""
    mine = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(2):
        with signals.heeded():
            assert signals.received() is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.received() == "SIGTERM"
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    with ThreadPoolExecutor() as pool, signals.heeded():
        pool.submit(signals.heeded().__enter__).result()
        assert signal.getsignal(signal.SIGTERM) == mine


def test_repeated_sigint_counts_once() -> None:
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    assert signals.received() == "SIGINT"


def test_a_second_sigint_stops_at_once() -> None:
    code = (
        "from leafdist.system import signals; import time; signals.install(); print('ready', flush=True); time.sleep(9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        time.sleep(0.6)
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(5) == 130
        assert b"second SIGINT" in child.stderr.read()


def test_ignored_signal_keeps_exit_status() -> None:
    code = "from leafdist.system import signals; import sys; signals.install(); signals.ignore()\n"
    code += "class Late:\n  def __del__(self, kill=__import__('os').kill, me=__import__('os').getpid()): kill(me, 10)\n"
    code += "sys.late = Late(); sys.exit(75)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 75


def test_blocked_signals_never_reach_children() -> None:
    with signals.blocked():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(2)"])
        os.kill(os.getpid(), signal.SIGUSR1)
    assert signals.received() == "SIGUSR1", "not lost, late at most"
    time.sleep(0.3)
    for number in signals.STOPPING:
        child.send_signal(number)
    assert child.wait(20) == 0


@pytest.mark.parametrize(("ignored", "status"), [("", 75), ("nohup", 0)])
def test_hangup_saves_unless_nohup(ignored: str, status: int) -> None:
    code = "from leafdist.system import signals; import os, sys; signals.ignore(); signals.install()\n"
    code += "os.kill(os.getpid(), signals.signal.SIGHUP)\n"
    code += "sys.exit(75 if signals.received() == 'SIGHUP' else 0)"
    command = [*ignored.split(), sys.executable, "-c", code]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == status
