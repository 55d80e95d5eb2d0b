"""Which rank was the first to fail, where gloo's own words differ."""

import time

import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined]

from leafdist.distributed import watchdog as module
from leafdist.distributed.standstill import Standstill, hanging
from leafdist.distributed.watchdog import BROKEN, LEFT, SILENT, Watchdog
from tests.helpers.programs import Program


def test_every_timeout_names_the_hanging_rank(program: Program) -> None:
    """gloo says "Timed out waiting" of those that it was at, "Application timeout caused pair closure" of the rest."""
    done = program("tests/helpers/deserted_rank.py", processes=2)
    assert "pair closure" in done.stdout
    assert "PeerError: rank 0 was the first to fail: it hangs" in done.stderr


def test_waking_rank_is_alive_again() -> None:
    store = HashStore()
    watchdog = Watchdog(store, rank=0, world=2, stall=99)
    store.set("alive/1", "7")
    for _ in range(SILENT + 1):
        assert watchdog._first_failure() is None
        watchdog._check_next_rank()
    failure = watchdog._first_failure()
    assert failure
    assert (failure.rank, failure.reason) == (1, "it died without a word (killed, out of memory?)")
    store.set("alive/1", "8")
    watchdog._check_next_rank()
    assert watchdog._first_failure() is None
    store.set("alive/1", LEFT)
    for _ in range(2 * SILENT):
        watchdog._check_next_rank()
    assert watchdog._first_failure() is None, "it has left in peace"


@pytest.mark.parametrize(
    ("beats", "waits", "rank"),
    [
        ((7, 6, 7), (True, True, True), 1),  # its GPU got the earlier steps only
        ((7, 7, 7), (True, True, False), 2),  # it never came to the collective
        ((7, 7, 7), (True, True, True), None),  # the GPUs or the network, or no fault at all
        ((7, 7, 7), (False, False, False), None),
        ((7, None, 7), (True, True, True), None),  # it goes on
    ],
)
def test_rank_behind_the_others_hangs(beats: tuple[int | None, ...], waits: tuple[bool, ...], rank: int | None) -> None:
    found = zip(beats, waits, strict=True)
    failure = hanging(["" if count is None else Standstill(count, wait, "there").to_json() for count, wait in found])
    assert (failure and failure.rank) == rank


def test_standing_rank_tells_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    monkeypatch.setattr(module, "VERDICT", 0.1)
    store = HashStore()
    store.set("alive/1", LEFT)
    store.set("stands/1", Standstill(1, waits=True, where="in the collective").to_json())
    watchdog = Watchdog(store, rank=0, world=2, stall=0.2)
    watchdog.start()
    deadline = time.monotonic() + 30
    while not (failure := watchdog._first_failure()) and time.monotonic() < deadline:
        time.sleep(0.3)
    assert failure
    assert failure.rank == 0
    assert "it hangs in test_watchdog.py" in failure.reason
    watchdog.stall = 60
    watchdog.beat()
    while watchdog._read("stands/0") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert watchdog._read("stands/0") == "", "it goes on"
    watchdog.stop()


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("[../third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:61112", True),
        ("Application timeout caused pair closure", True),
        ("ncclRemoteError: A call failed possibly due to a network error or a remote process exiting", True),
        ("[14] is setting up NCCL communicator and retrieving ncclUniqueId, but Connection reset by peer", True),
        ("Failed to recv, got 0 bytes. Connection was likely closed.", True),
        ("ProcessGroupGloo::allgather: invalid tensor size at index 1 (expected (4), got (5))", False),
        ("NCCL error: invalid usage. ncclInvalidUsage: Duplicate GPU detected : rank 0 and rank 1", False),
        ("ncclUnhandledCudaError: Call to CUDA function failed. 'out of memory'", False),
    ],
)
def test_lost_connection_is_no_bug(text: str, lost: bool) -> None:
    assert bool(BROKEN.search(text)) == lost
