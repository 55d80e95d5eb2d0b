"""A thread beside each rank that shows that the rank is alive, and finds out which rank failed first and why.

A rank that dies or throws breaks the others' collectives with errors that name no rank, or on GPUs with no error: they
wait. The ranks share a store, which holds what is needed to name it: a heartbeat per rank, and the first failure.
"""

import faulthandler
import itertools
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from leafdist.distributed.standstill import DISK, Standstill, hanging
from leafdist.system import console
from leafdist.system.errors import INTERRUPTED, WRONG, WRONG_INPUT, Failure, PeerError
from leafdist.system.signals import Interrupted

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

HEARTBEAT = 1.0  # seconds between heartbeats
SILENT = 30  # heartbeats of our own without one of the next rank, or without the store, after which it is dead
CHECK_IN = 5.0  # seconds that the ranks have to check in after a collective broke
VERDICT = 10.0  # seconds from a standstill until the rank behind is named: gloo breaks by itself before that
GRACE = 20.0  # seconds from another rank's failure to the end of a rank that hangs in a collective
FAILURE = "failure"  # key of the first failure; empty where it was taken back
DIED = "it died without a word (killed, out of memory?)"
GONE = "it is gone, and with it the store that all ranks share"
HANGS = "leaving a collective that hangs"
LEFT = "left"  # replaces the heartbeat of a rank that has left as it should
# What a lost connection says, in gloo, NCCL, and PyTorch's store. Neither's name is enough: they report bugs too.
BROKEN = re.compile(
    r"connection (was likely )?(closed|reset|refused|aborted|timed out)|broken pipe|timed? ?out|no route to host|"
    r"unreachable|not connected|failed to recv|socket (closed|error)|nccl(remote|system)error|communicator was aborted",
    re.IGNORECASE,
)

Abandon = Callable[[str, bool], None]


class Watchdog(threading.Thread):
    """Watches over `rank` and the next of `world` ranks; `stall`: seconds without `beat` that are too many.

    One process has no store.
    """

    def __init__(self, store: "Store | None", rank: int, world: int, stall: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.store, self.rank, self.world, self.stall = store, rank, world, stall
        self.abandon: Abandon = lambda reason, lost: None
        self._beats, self._last_beat, self._thread = 0, time.monotonic(), threading.get_ident()
        self._reading_since: float | None = None
        self._ended = threading.Event()
        self._stacks_printed, self._stands = False, ""  # where the main thread stands since it sends no beats
        self._failure: Failure | None = None  # that ends this rank soon, and since when it is known
        self._failure_seen = 0.0
        self._next_heartbeat, self._missed = "", 0  # of the next rank, and how many of ours it has not changed
        self._reported = ""  # the death of the next rank, as we reported it

    def beat(self) -> None:
        """Tell that the main thread makes progress; all ranks do it at the same points of the training."""
        self._beats, self._last_beat = self._beats + 1, time.monotonic()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Mark that the main thread waits for photos; the process is ended if neither photos nor an error come."""
        self._reading_since = time.monotonic()
        try:
            yield
        finally:
            self._reading_since = None

    def stop(self) -> None:
        """End the thread once the work is over, before the store goes."""
        self._ended.set()
        if self.is_alive():
            self.join()
            with suppress(RuntimeError):  # the store is gone: nobody reads it any more
                if self.store:
                    self.store.set(f"alive/{self.rank}", LEFT)

    def run(self) -> None:
        """Send a heartbeat and check the others, at once and then once per second."""
        for count in itertools.count():
            self._check_main_thread()
            try:
                if self.store:
                    self.store.set(f"alive/{self.rank}", str(count))
                    self._check_next_rank()
                    self._check_standstill()
                    self._check_failure()
                elif self.world > 1:
                    self._check_without_store()
            except RuntimeError:  # the store's process is gone; the main thread meets that too, and reports it
                self.store, self._missed = None, 0
            if self._ended.wait(HEARTBEAT):
                return

    def _check_main_thread(self) -> None:
        idle = time.monotonic() - self._last_beat
        if idle > self.stall and not self._stacks_printed:
            self._stacks_printed = True
            console.say_aside(f"rank {self.rank}: no step for {idle:.0f} s. Its stacks:")
            faulthandler.dump_traceback(2, all_threads=True)  # in a notebook sys.stderr is no file
        reading = self._reading_since  # the main thread may end it at any time
        if reading and time.monotonic() - reading > self.stall + 2 * GRACE:
            why = f"no photos could be read for {self.stall:.0f} s and more: {DISK}"
            failure = self._failure or Failure(self.rank, why, WRONG)
            with suppress(RuntimeError):  # the store is gone
                if self.store:
                    self.store.compare_set(FAILURE, "", json.dumps(asdict(failure)))
            self._leave(failure, "leaving a disk that hangs")

    def _check_next_rank(self) -> None:
        """Report the next rank as dead once its heartbeat stops (NCCL does not); withdraw that if it starts again.

        Counts missed heartbeats, not seconds: a clock would run on while a job is suspended.
        """
        neighbour = (self.rank + 1) % self.world
        heartbeat = self._read(f"alive/{neighbour}")
        silent = heartbeat == self._next_heartbeat and heartbeat not in ("", LEFT)
        self._missed = self._missed + 1 if silent else 0
        self._next_heartbeat = heartbeat
        assert self.store
        if self._missed == SILENT:
            self._reported = json.dumps(asdict(Failure(neighbour, DIED, INTERRUPTED)))
            self.store.compare_set(FAILURE, "", self._reported)
        elif self._reported and not self._missed:
            self.store.compare_set(FAILURE, self._reported, "")
            self._reported = ""

    def _check_without_store(self) -> None:
        self._missed += 1
        if self._missed > SILENT and time.monotonic() - self._last_beat > SILENT * HEARTBEAT:
            self._leave(self._failure or Failure(0, GONE, INTERRUPTED), HANGS)

    def _check_standstill(self) -> None:
        """Name the rank that all others wait for, long before NCCL would abort them without a name."""
        idle = time.monotonic() - self._last_beat
        assert self.store
        if idle > self.stall:
            now = Standstill.of(self._thread, self._beats, reading=self._reading_since is not None)
            self._stands = self._stands or now.where
            self.store.set(f"stands/{self.rank}", now.to_json() if now.where == self._stands else "")
        elif self._stands:
            self.store.set(f"stands/{self.rank}", "")
            self._stands = ""
        if idle > self.stall + VERDICT:
            failure = hanging([self._read(f"stands/{rank}") for rank in range(self.world)])
            if failure:
                self.store.compare_set(FAILURE, "", json.dumps(asdict(failure)))

    def _check_failure(self) -> None:
        """End this rank where it hangs, or waits in a collective that cannot complete since another one failed."""
        failure = self._first_failure()
        if failure is None or (failure.rank == self.rank and not self._stands):
            self._failure = None
            return
        if self._failure is None:
            self._failure, self._failure_seen = failure, time.monotonic()
        waited, own = time.monotonic() - self._failure_seen, failure.rank == self.rank
        if waited > (2 * GRACE if own else GRACE):  # the one that hangs is the last to leave: it may hold the store
            self._leave(failure, "leaving" if own else HANGS)

    def _leave(self, failure: Failure, how: str) -> None:
        error = PeerError(failure)
        console.say_aside(f"rank {self.rank}: {error}; {how}")
        told = threading.Thread(target=self.abandon, args=(str(error), error.lost), daemon=True)
        told.start()
        told.join(GRACE)  # the run folder may lie on the disk that hangs
        os._exit(failure.status)

    @contextmanager
    def watching(self, abandon: Abandon) -> Iterator[None]:
        """Report to the others what fails inside; turn what fails because of them into a PeerError.

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
            raise PeerError(self._find_failure(error)) from error
        except Exception as error:
            self._report(error)
            raise
        finally:
            self.stop()

    def _report(self, error: Exception) -> None:
        ours = not isinstance(error, ValueError)
        reason = f"{type(error).__name__}: {error}" if ours else str(error)
        failure = Failure(self.rank, reason, WRONG if ours else WRONG_INPUT)
        with suppress(RuntimeError):  # the store is gone
            if store := self.store:
                store.compare_set(FAILURE, "", json.dumps(asdict(failure)))

    def _find_failure(self, error: RuntimeError) -> Failure:
        """The first failure: a reported one, else a rank that did not check in (dead if its heartbeat stopped)."""
        broken = f"the connection between the ranks broke: {error}"
        try:
            return self._check_in() or Failure(self.rank, broken, INTERRUPTED)
        except RuntimeError:
            return Failure(0, GONE, INTERRUPTED)

    def _check_in(self) -> Failure | None:
        if (store := self.store) is None:
            return Failure(0, GONE, INTERRUPTED)
        missing = [rank for rank in range(self.world) if rank != self.rank]
        store.set(f"left/{self.rank}", "")
        before = {rank: self._read(f"alive/{rank}") for rank in missing}
        deadline = time.monotonic() + CHECK_IN
        while missing and time.monotonic() < deadline and self._first_failure() is None:
            time.sleep(HEARTBEAT / 4)
            missing = [rank for rank in missing if not store.check([f"left/{rank}"])]
        if (failure := self._first_failure()) or not missing:
            return failure
        dead = [rank for rank in missing if self._read(f"alive/{rank}") == before[rank]]
        if dead:  # others may be missing because they wait for a dead one
            return Failure(dead[0], DIED, INTERRUPTED)
        return Failure(missing[0], "it hangs (its stacks are above)", INTERRUPTED)

    def _first_failure(self) -> Failure | None:
        found = self._read(FAILURE)
        return Failure(**json.loads(found)) if found else None

    def _read(self, key: str) -> str:
        """The value of `key` in the store; empty where there is none."""
        if (store := self.store) is None:  # the watchdog's own thread has found it gone
            raise RuntimeError("the store is gone")
        return store.get(key).decode() if store.check([key]) else ""
