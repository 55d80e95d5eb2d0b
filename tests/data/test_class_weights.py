"""Weights of the classes: mean 1 over what an epoch shows, and files of weights that are wrong."""

from pathlib import Path

import numpy as np
import pytest

from leafdist.data.class_weights import class_weights
from tests.helpers.indexes import index_of

INDEX = index_of([1, 9, 90])


def test_weights_have_mean_one(tmp_path: Path) -> None:
    (tmp_path / "weights.tsv").write_text("c\t1\r\n\r\na\t2\r\nb\t4\r\n")
    expected = {"balanced": [1, 1 / 9, 1 / 90], "sqrt": [1, 1 / 3, 90**-0.5], str(tmp_path / "weights.tsv"): [2, 4, 1]}
    for setting, ratios in expected.items():
        weights = class_weights(setting, "all", INDEX)
        assert weights
        assert weights == pytest.approx(np.array(ratios) * weights[2] / ratios[2])
        assert np.mean(np.array(weights)[INDEX.labels]) == pytest.approx(1)
    assert class_weights("none", "all", INDEX) is None
    assert class_weights("balanced", "balanced", INDEX) == pytest.approx([2.629, 0.2921, 0.02921], rel=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t1\n", r"no weight for b, c; add a line `class<TAB>weight` each"),
        ("a\t1\nd\t2\n", r"line 2: 'd\\t2' must be a class of the photos, a tab and its weight"),
        ("a 1\n", r"line 1: 'a 1' must be a class"),
        ("a\t1\nb\t1\na\t2\n", r"line 3: 'a' has a weight already"),
        ("a\tmuch\n", r"line 1: 'much' must be a number above 0"),
        ("a\t0\n", r"line 1: '0' must be a number above 0"),
        ("a\tinf\n", r"line 1: 'inf' must be a number above 0"),
        (None, r"No such file.*must be none, balanced, sqrt, or a file"),
    ],
)
def test_wrong_weight_files_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.tsv"
    if text:
        path.write_text(text)
    with pytest.raises(ValueError, match=rf"^optim\.class_weights=.*weights\.tsv.*{message}"):
        class_weights(str(path), "all", INDEX)


def test_balanced_weights_need_every_class() -> None:
    with pytest.raises(ValueError, match=r"balanced: train has no photo of 'b'.*set optim\.class_weights=none"):
        class_weights("balanced", "all", index_of([1, 0]))
