"""A thread beside each rank: says that the rank is alive, and when one failed, which was first and why.

A rank that dies or throws breaks the others' collectives with errors that name no rank, or on GPUs with no error: they
wait. What is needed to name it goes through the store of the process group: a heartbeat a rank, and the first failure.
"""

import faulthandler
import itertools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Protocol

from leafdist.system.errors import INTERRUPTED, WRONG, WRONG_INPUT
from leafdist.system.signals import Interrupted

HEARTBEAT = 1.0  # seconds
MUSTER = 5.0  # seconds that ranks have to say that they are leaving too
SILENT = 30  # own heartbeats without one of the next rank, or of the store, that are too many
GRACE = 20.0  # seconds from another rank's failure to the end of a rank that hangs in a collective
FAILED = "failure"  # its key in the store
DIED = "it died without a word (killed, out of memory?)"
GONE = "it is gone, and with it the store that all ranks share"
OVER = b"over"  # in place of a heartbeat, of a rank that has left in peace
BROKEN = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|timed out|timeout|socket", re.IGNORECASE)

Abandon = Callable[[str, bool], None]


@dataclass(frozen=True)
class Failure:
    """The first rank to fail, why, and the exit status that this means for all."""

    rank: int
    reason: str
    status: int


class PeerError(RuntimeError):
    """Another rank failed. `lost` where it died or hung, which is worth another try, against where it threw."""

    def __init__(self, failure: Failure) -> None:
        self.status, self.lost = failure.status, failure.status == INTERRUPTED
        super().__init__(f"rank {failure.rank} was the first to fail: {failure.reason}")


class Store(Protocol):
    """What is used of torch.distributed's Store."""

    def set(self, key: str, value: str) -> None: ...
    def get(self, key: str) -> bytes: ...
    def check(self, keys: list[str]) -> bool: ...
    def compare_set(self, key: str, expected: str, desired: str) -> bytes: ...


class Sentinel(threading.Thread):
    """Of rank `rank` of `world`; `stall` is how many seconds without `beat` are too many. No store: one process."""

    def __init__(self, store: Store | None, rank: int, world: int, stall: float) -> None:
        super().__init__(name="sentinel", daemon=True)
        self.store, self.rank, self.world, self.stall = store, rank, world, stall
        self.abandon: Abandon = lambda reason, lost: None
        self._last = time.monotonic()
        self._ended = threading.Event()
        self._told = False
        self._failure_seen: float | None = None
        self._next, self._silent = b"", 0  # the next rank's heartbeat, and for how many of our own it has not changed
        self._charge = ""  # the failure that we told of

    def beat(self) -> None:
        """The main thread gets on."""
        self._last = time.monotonic()

    def stop(self) -> None:
        """When the work is over, and before the store goes."""
        self._ended.set()
        if self.is_alive():
            self.join()
            with suppress(RuntimeError):  # the store is gone, and nobody looks at it
                if self.store:
                    self.store.set(f"alive/{self.rank}", OVER.decode())

    def run(self) -> None:
        """The thread: at once, and then once a second."""
        for count in itertools.count():
            self._look_at_main()
            try:
                if self.store:
                    self.store.set(f"alive/{self.rank}", str(count))
                    self._look_at_next()
                    self._look_at_others()
                elif self.world > 1:
                    self._miss_the_store()
            except RuntimeError:  # the store's process is gone: the main thread meets the same and says so, in time
                self.store, self._silent = None, 0
            if self._ended.wait(HEARTBEAT):
                return

    def _look_at_main(self) -> None:
        idle = time.monotonic() - self._last
        if idle > self.stall and not self._told:
            self._told = True
            print(f"rank {self.rank}: no step for {idle:.0f} s. Its stacks:", file=sys.stderr, flush=True)
            faulthandler.dump_traceback(sys.stderr, all_threads=True)

    def _look_at_next(self) -> None:
        """Tell all when the next rank has died: NCCL does not. By heartbeats and no clock, which runs on while a job is
        suspended."""
        neighbour = (self.rank + 1) % self.world
        pulse = self._pulse(neighbour)
        self._silent = self._silent + 1 if pulse == self._next and pulse not in (b"", OVER) else 0
        self._next = pulse
        assert self.store
        if self._silent == SILENT:
            self._charge = json.dumps(asdict(Failure(neighbour, DIED, INTERRUPTED)))
            self.store.compare_set(FAILED, "", self._charge)
        elif self._charge and not self._silent:  # it was asleep
            self.store.compare_set(FAILED, self._charge, "")
            self._charge = ""

    def _miss_the_store(self) -> None:
        self._silent += 1
        if self._silent > SILENT and time.monotonic() - self._last > SILENT * HEARTBEAT:
            self._leave(Failure(0, GONE, INTERRUPTED))

    def _look_at_others(self) -> None:
        """End a rank whose main thread hangs in a collective that will never complete."""
        if (failure := self._first_failure()) is None or failure.rank == self.rank:
            self._failure_seen = None
            return
        self._failure_seen = self._failure_seen or time.monotonic()
        if time.monotonic() - self._failure_seen > GRACE:
            self._leave(failure)

    def _leave(self, failure: Failure) -> None:
        error = PeerError(failure)
        print(f"rank {self.rank}: {error}; leaving a collective that hangs", file=sys.stderr, flush=True)
        try:
            self.abandon(str(error), error.lost)
        finally:
            os._exit(failure.status)

    @contextmanager
    def watching(self, abandon: Abandon) -> Iterator[None]:
        """What fails inside is reported to the others; what fails because of them becomes a PeerError.

        `abandon(reason, lost)` is called before a rank that hangs because of another one is ended; see PeerError.
        """
        self.abandon = abandon
        self.beat()
        self.start()
        try:
            yield
        except Interrupted:  # all ranks leave together
            raise
        except RuntimeError as error:
            if self.world == 1 or not BROKEN.search(str(error)):
                self._report(error)
                raise
            raise PeerError(self._first_to_fail(error)) from error
        except Exception as error:
            self._report(error)
            raise
        finally:
            self.stop()

    def _report(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error)
        failure = Failure(self.rank, reason, WRONG_INPUT if isinstance(error, ValueError) else WRONG)
        if self.store:
            self.store.compare_set(FAILED, "", json.dumps(asdict(failure)))

    def _first_failure(self) -> Failure | None:
        assert self.store
        told = self.store.get(FAILED) if self.store.check([FAILED]) else b""  # empty: taken back
        return Failure(**json.loads(told)) if told else None

    def _first_to_fail(self, error: RuntimeError) -> Failure:
        """Who threw; else who does not come to the muster, and whether it still breathes."""
        gone = Failure(0, GONE, INTERRUPTED)
        others = [rank for rank in range(self.world) if rank != self.rank]
        if self.store is None:
            return gone
        try:
            self.store.set(f"left/{self.rank}", "")
            before = {rank: self._pulse(rank) for rank in others}
            deadline = time.monotonic() + MUSTER
            missing = others
            while missing and time.monotonic() < deadline and self._first_failure() is None:
                time.sleep(HEARTBEAT / 4)
                missing = [rank for rank in others if not self.store.check([f"left/{rank}"])]
            if failure := self._first_failure():
                return failure
            if not missing:
                return Failure(self.rank, f"the connection between the ranks broke: {error}", INTERRUPTED)
            dead = [rank for rank in missing if self._pulse(rank) == before[rank]]
            if dead:  # others may be missing because they wait for a dead one
                return Failure(dead[0], DIED, INTERRUPTED)
            return Failure(missing[0], "it hangs (its stacks are above)", INTERRUPTED)
        except RuntimeError:
            return gone

    def _pulse(self, rank: int) -> bytes:
        assert self.store
        key = f"alive/{rank}"
        return self.store.get(key) if self.store.check([key]) else b""
