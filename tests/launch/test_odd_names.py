"""Odd names of classes, photos and runs in odd locales; `python -m tests.helpers.odd_names` takes more of them."""

from pathlib import Path

import pytest

from tests.helpers.odd_names import chain


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3])
def test_odd_names_pass_every_command(seed: int, tmp_path: Path) -> None:
    assert chain(seed, tmp_path) == []
