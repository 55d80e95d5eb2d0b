"""What counts as better."""

import pytest

from leafdist.runs.events import EpochEvent
from leafdist.training.state import TrainState

NAN = float("nan")


@pytest.mark.parametrize(
    ("accuracy", "loss", "better"),
    [(0.6, 9.0, True), (0.5, 0.9, True), (0.5, 1.0, False), (0.5, 1.1, False), (0.4, 0.1, False), (0.5, NAN, False)],
)
def test_best_is_accuracy_then_loss(accuracy: float, loss: float, better: bool) -> None:
    state = TrainState(epoch=3, best_epoch=1, best_accuracy=0.5, best_loss=1.0)
    judged = EpochEvent(3, 9, 1.0, 0.5, loss, accuracy, 1.0)
    assert state.update_best("accuracy", judged) == better
    assert state.best_epoch == (3 if better else 1)
