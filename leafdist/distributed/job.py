"""How a program starts and ends: one exit for all ranks, one message for all users."""

import os
from collections.abc import Callable
from datetime import timedelta

import torch.distributed as dist

from leafdist.distributed.runtime import Runtime
from leafdist.system import console, launched, signals, streams
from leafdist.system.errors import (
    DONE,
    INTERRUPTED,
    STOPPED,
    WRONG,
    WRONG_INPUT,
    PeerError,
    SaveError,
    UnreadablePhotoError,
)
from leafdist.system.signals import Interrupted

GOODBYE = timedelta(seconds=30)


def run(job: Callable[[Runtime], None], *, precision: str, timeout_minutes: float, deterministic: bool) -> int:
    """Run `job` as one of the processes of the launch; returns the exit status. A bug keeps its traceback."""
    streams.outlive()
    runtime: Runtime | None = None
    try:
        runtime = Runtime(precision=precision, timeout_minutes=timeout_minutes, deterministic=deterministic)
        job(runtime)
    except Interrupted as stop:
        assert runtime
        seconds = f", {signals.seconds_since():.1f} s after the signal" if signals.received() else ""
        text = f"{stop}; leaving with status {INTERRUPTED}{seconds}. The same command resumes from here"
        runtime.say(text)
        launched.explain(text)
        status = launched.hand_over(INTERRUPTED, main=runtime.is_main)
        runtime.close()
        return status
    except KeyboardInterrupt:  # of a program that installs no signal handlers
        _say_on_rank_0("stopped")
        return STOPPED
    except (PeerError, UnreadablePhotoError, OSError) as error:  # met by this rank alone
        console.say_aside(f"rank {runtime.rank if runtime else '?'}: error: {error}")
        return _status(error)
    except (ValueError, FloatingPointError, SaveError) as error:  # raised by all ranks together
        _say_on_rank_0(f"error: {error}", alone=runtime is None)
        left_together = _wait_for_message(runtime)
        return launched.hand_over(_status(error), main=runtime.is_main) if runtime and left_together else _status(error)
    runtime.close()
    return DONE


def _status(error: Exception) -> int:
    if isinstance(error, PeerError):
        return error.status
    return WRONG_INPUT if isinstance(error, ValueError) else WRONG


def _wait_for_message(runtime: Runtime | None) -> bool:
    """Wait until rank 0 has printed: a launcher ends all ranks once one is gone. Whether all ranks came."""
    if runtime and runtime.control:
        try:
            dist.monitored_barrier(runtime.control, timeout=GOODBYE)
        except RuntimeError as late:
            console.say_aside(f"rank {runtime.rank}: another rank did not reach the exit: {late}")
            return False
        dist.destroy_process_group()
    return True


def _say_on_rank_0(text: str, *, alone: bool = False) -> None:
    launched.explain(text)
    if launched.speaks() or (alone and "TORCHELASTIC_ERROR_FILE" not in os.environ):  # else a launcher says it
        console.say_aside(text)
