"""A guest in a thread of its own: training does not wait for whatever the guest waits for."""

import queue
import threading
from typing import Protocol

from leafdist.runs.events import Event
from leafdist.runs.facts import RunResult
from leafdist.runs.tracker import Tracker

PENDING = 1000  # events that may wait for a guest
GOODBYE = {True: 180.0, False: 40.0}  # seconds to close after a training that went well, with its checkpoint, and else


class Guest(Tracker, Protocol):
    """Gets what metrics.jsonl gets. An error ends the guest, with one line, and nothing else."""

    name: str

    def start(self, kept: list[Event], position: tuple[int, int]) -> None:
        """Begin with the events that were kept; `position` is epoch and step of the checkpoint."""

    def drop(self) -> None:
        """Release what an error left open."""


class Inner(Guest, Protocol):
    """A guest that may hang in any of its methods except `start`."""

    def end(self) -> None:
        """Kill the process that it waits for."""


class Aside:
    """Runs `guest` in a thread; an error there is raised by the next call here."""

    def __init__(self, guest: Inner) -> None:
        self._guest, self.name = guest, guest.name
        self._events: queue.Queue[Event | None] = queue.Queue(PENDING)
        self._closing: tuple[int, RunResult | None] = (1, None)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name=f"{guest.name} lines", daemon=True)

    def start(self, kept: list[Event], position: tuple[int, int]) -> None:
        """Start the guest, then its thread."""
        self._guest.start(kept, position)
        self._thread.start()

    def log(self, event: Event) -> None:
        """Queue one event. Raises TimeoutError if the guest has stopped taking them."""
        self._put(event, 0.0)

    def close(self, exit_code: int, result: RunResult | None) -> None:
        """Close the guest. Raises TimeoutError if it does not end."""
        self._closing, limit = (exit_code, result), GOODBYE[exit_code == 0]
        self._put(None, limit)
        self._thread.join(limit)
        if self._thread.is_alive():
            raise TimeoutError(f"it hangs: no end after {limit:.0f} s")
        self._raise()

    def drop(self) -> None:
        """Kill what the guest waits for, and drop the guest."""
        if self._thread.is_alive():
            self._guest.end()
        self._guest.drop()

    def _work(self) -> None:
        try:
            while (event := self._events.get()) is not None:
                self._guest.log(event)
            self._guest.close(*self._closing)
        except Exception as error:  # noqa: BLE001  raised again by `_raise`, in the thread that reports it
            self._error = error

    def _put(self, event: Event | None, seconds: float) -> None:
        self._raise()
        try:
            self._events.put(event, timeout=seconds)
        except queue.Full:
            raise TimeoutError(f"it hangs: {PENDING} lines wait for it") from None

    def _raise(self) -> None:
        if self._error:
            raise self._error
