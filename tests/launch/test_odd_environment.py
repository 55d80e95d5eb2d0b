"""Variables of the environment, set at random, change no bit of a training, or are refused by name."""

from pathlib import Path

import pytest

from tests.helpers.odd_environment import draw_environment, fault, train_in

LISTED = {"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR", "ATEN_CPU_CAPABILITY": "default", "RANK": "3", "PMI_SIZE": "1"}


@pytest.mark.slow
def test_odd_environments_change_no_bit(photos: Path) -> None:
    plain = train_in({}, photos, "plain")
    assert plain.status == 0
    for number, variables in enumerate([LISTED, draw_environment(100), draw_environment(101), draw_environment(102)]):
        odd = train_in(variables, photos, f"odd{number}")
        assert fault(variables, plain, odd) is None, variables
    assert fault({}, plain, train_in({"ACCELERATE_USE_FSDP": "true"}, photos, "refused")) is not None, "it names FSDP"
