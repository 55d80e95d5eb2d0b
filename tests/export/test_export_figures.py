"""What is said of an exported file: how it agrees with PyTorch."""

import numpy as np
import pytest

from leafdist.export.agreement import Agreement, Judged


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_nan_score_is_never_right(precision: str) -> None:
    expected = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="was not kept"):
        Agreement.measure(expected, np.full_like(expected, np.nan)).check("model", precision)


def test_what_a_precision_costs_is_counted() -> None:
    expected, found = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[[0, 1, 3, 2]]
    judged = Judged.measure(np.array([0, 1, 2, 0]), expected, found)
    assert str(judged) == "accuracy 0.5000 on 4 test photos, -25.00 points against fp32; same first answer on 2"
