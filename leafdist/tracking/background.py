"""A guest in a thread of its own: whoever it waits for, a training does not."""

import queue
import threading
from typing import Any, Protocol

PENDING = 1000  # lines that may wait for a guest
GOODBYE = {True: 180.0, False: 40.0}  # seconds to close after a training that went well, with its checkpoint, and else


class Inner(Protocol):
    """A guest that may hang, in any of these but `start`."""

    name: str

    def start(self, kept: list[dict[str, Any]], place: tuple[int, int]) -> None: ...
    def log(self, event: dict[str, Any]) -> None: ...
    def close(self, exit_code: int, summary: dict[str, Any]) -> None: ...
    def drop(self) -> None: ...
    def end(self) -> None:
        """Kill what it waits for."""


class Aside:
    """`guest`, whose errors are raised by the next call after the one that met them."""

    def __init__(self, guest: Inner) -> None:
        self._guest, self.name = guest, guest.name
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(PENDING)
        self._closing: tuple[int, dict[str, Any]] | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name=f"{guest.name} lines", daemon=True)

    def start(self, kept: list[dict[str, Any]], place: tuple[int, int]) -> None:
        self._guest.start(kept, place)
        self._thread.start()

    def log(self, event: dict[str, Any]) -> None:
        """Raises TimeoutError where the guest has stopped taking lines."""
        self._put(event, 0.0)

    def close(self, exit_code: int, summary: dict[str, Any]) -> None:
        """Raises TimeoutError where the guest does not come to an end."""
        self._closing, limit = (exit_code, summary), GOODBYE[exit_code == 0]
        self._put(None, limit)
        self._thread.join(limit)
        if self._thread.is_alive():
            raise TimeoutError(f"it hangs: no end after {limit:.0f} s")
        self._raise()

    def drop(self) -> None:
        if self._thread.is_alive():
            self._guest.end()
        self._guest.drop()

    def _work(self) -> None:
        try:
            while (event := self._lines.get()) is not None:
                self._guest.log(event)
            assert self._closing
            self._guest.close(*self._closing)
        except Exception as error:  # noqa: BLE001  raised again by `_raise`, in the thread that tells of it
            self._error = error

    def _put(self, line: dict[str, Any] | None, seconds: float) -> None:
        self._raise()
        try:
            self._lines.put(line, timeout=seconds)
        except queue.Full:
            raise TimeoutError(f"it hangs: {PENDING} lines wait for it") from None

    def _raise(self) -> None:
        if self._error:
            raise self._error
