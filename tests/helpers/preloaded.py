"""Programs that start with their slow imports done: forked off a process that has them, as new as any other.

An interpreter that imports torch, accelerate and scikit-learn takes ten seconds here, and the suite starts a hundred.
What is forked has run none of our code, and ends as an interpreter does. Several processes are given the variables that
torchrun gives them; where the launcher itself matters, tests launch the whole.
"""

import array
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile


class Preloaded:
    """`run` starts a script in a fork of the process that this object keeps."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.channel, theirs = socket.socketpair()
        command = [sys.executable, __file__, str(theirs.fileno())]
        with theirs:
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)

    def run(
        self, command: list[str], cwd: Path, environments: list[dict[str, str]], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `subprocess.run([sys.executable, *command], capture_output=True)` in one process per environment.

        Return the exit status of the first one that failed.
        """
        with TemporaryFile("w+b") as out, TemporaryFile("w+b") as err:
            self._ask({"command": command, "cwd": str(cwd), "environments": environments}, [out.fileno(), err.fileno()])
            statuses = self._wait(len(environments), timeout)
            texts = [file.read().decode(errors="replace") for file in (out, err) if not file.seek(0)]
        return subprocess.CompletedProcess(command, next((status for status in statuses if status), 0), *texts)

    def _ask(self, program: dict[str, object], streams: list[int]) -> None:
        message = json.dumps(program).encode()
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams).tobytes())
        self.channel.sendall(len(message).to_bytes(4))
        self.channel.sendmsg([message[:1]], [rights])
        self.channel.sendall(message[1:])

    def _wait(self, processes: int, timeout: float) -> list[int]:
        pids = [int.from_bytes(self.channel.recv(8, socket.MSG_WAITALL)) for _ in range(processes)]
        self.channel.settimeout(timeout)
        try:
            return [int.from_bytes(self.channel.recv(8, socket.MSG_WAITALL), signed=True) for _ in pids]
        except TimeoutError:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            raise
        finally:
            self.channel.settimeout(None)

    def close(self) -> None:
        """End the process that the forks come from."""
        self.channel.close()
        self.process.wait()


def serve(channel: socket.socket) -> dict[str, object]:
    """Returns in each new process, with what it is to run; leaves when nobody asks any more."""
    import accelerate  # noqa: F401
    import jinja2  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import timm.models  # noqa: F401
    import torch._dynamo  # noqa: F401  # what every optimizer imports
    import torchvision  # noqa: F401
    import wandb  # noqa: F401
    import yaml  # noqa: F401

    gc.collect()
    gc.freeze()  # else the collections of each fork write to the whole heap, and so copy it
    while size := channel.recv(4, socket.MSG_WAITALL):
        first, ancillary, *_ = channel.recvmsg(1, socket.CMSG_SPACE(8))
        rest = channel.recv(int.from_bytes(size) - 1, socket.MSG_WAITALL)
        descriptors = array.array("i", ancillary[0][2])
        program = json.loads(first + rest)
        pids = []
        for environment in program.pop("environments"):
            if (pid := os.fork()) == 0:
                channel.close()
                for number, descriptor in enumerate(descriptors, 1):
                    os.dup2(descriptor, number)
                return {**program, "environment": environment}
            pids.append(pid)
        for descriptor in descriptors:
            os.close(descriptor)
        for pid in pids:
            channel.sendall(pid.to_bytes(8))
        for pid in pids:
            channel.sendall(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]).to_bytes(8, signed=True))
    raise SystemExit


def become(program: dict[str, object]) -> None:
    """This process is now what `python script arguments` would be."""
    command, environment = program["command"], program["environment"]
    assert isinstance(command, list)
    assert isinstance(environment, dict)
    os.chdir(str(program["cwd"]))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    become(serve(socket.socket(fileno=int(sys.argv[1]))))
