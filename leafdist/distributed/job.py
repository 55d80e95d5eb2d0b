"""How a program starts and ends: one exit for all ranks, one message for all users."""

import os
import sys
from collections.abc import Callable
from datetime import timedelta

import torch.distributed as dist

from leafdist.distributed.runtime import Runtime
from leafdist.distributed.watchdog import PeerError
from leafdist.system import console, signals
from leafdist.system.errors import DONE, INTERRUPTED, STOPPED, WRONG, WRONG_INPUT, SaveError, UnreadablePhotoError
from leafdist.system.signals import Interrupted

GOODBYE = timedelta(seconds=30)


def run(job: Callable[[Runtime], None], *, precision: str, timeout_minutes: float, deterministic: bool) -> int:
    """Run `job` as one of the processes of the launch; returns the exit status.

    What all ranks raise together is printed by rank 0; what one rank met, by itself. A bug keeps its traceback.
    """
    runtime: Runtime | None = None
    try:
        runtime = Runtime(precision=precision, timeout_minutes=timeout_minutes, deterministic=deterministic)
        job(runtime)
    except Interrupted as stop:
        assert runtime
        seconds = f", {signals.seconds_since():.1f} s after the signal" if signals.received() else ""
        runtime.say(f"{stop}; leaving with status {INTERRUPTED}{seconds}. The same command goes on from here")
        runtime.close()
        return INTERRUPTED
    except KeyboardInterrupt:  # of a program that does not heed signals
        if os.environ.get("RANK", "0") == "0":
            console.say_aside("stopped")
        return STOPPED
    except (UnreadablePhotoError, OSError, PeerError) as error:  # met by this rank alone
        print(f"rank {runtime.rank if runtime else '?'}: error: {error}", file=sys.stderr, flush=True)
        return error.status if isinstance(error, PeerError) else WRONG if isinstance(error, OSError) else WRONG_INPUT
    except (ValueError, FloatingPointError, SaveError) as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr, flush=True)
        leave_after_error(runtime)
        return WRONG_INPUT if isinstance(error, ValueError) else WRONG
    runtime.close()
    return DONE


def leave_after_error(runtime: Runtime | None) -> None:
    """Wait for rank 0's message to be out before the launcher, seeing one rank gone, ends the rest."""
    if runtime is None or runtime.control is None:
        return
    try:
        dist.monitored_barrier(runtime.control, timeout=GOODBYE)
    except RuntimeError as error:
        print(f"rank {runtime.rank}: another rank did not come to the exit: {error}", file=sys.stderr, flush=True)
    else:
        dist.destroy_process_group()
