"""Which rank was the first to fail, where gloo's own words differ."""

from tests.conftest import Program


def test_of_several_collectives_that_run_out_of_time_each_names_the_rank_that_hangs(program: Program) -> None:
    """gloo says "Timed out waiting" of those that it was at, "Application timeout caused pair closure" of the rest."""
    done = program("tests/deserted_rank.py", processes=2)
    assert "pair closure" in done.stdout
    assert "PeerError: rank 0 was the first to fail: it hangs" in done.stderr
