"""Which rank was the first to fail, where gloo's own words differ."""

from torch.distributed import HashStore  # type: ignore[attr-defined]

from leafdist.distributed.watchdog import LEFT, SILENT, Watchdog
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
