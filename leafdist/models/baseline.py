"""The small CNN of the protocol."""

import torch.nn.functional as F
from torch import Tensor, nn

from leafdist.models.dropout import PlannedDropout
from leafdist.models.freezing import KeepsFrozen


class Baseline(KeepsFrozen):
    """Three convolutions and two linear layers: (B,3,side,side) -> log-probabilities (B,num_classes).

    `dropout` replaces the protocol's rates: 0.25 after each convolution, 0.5 before the head.
    """

    def __init__(
        self, num_classes: int, side: int, *, dropout: float | None, freeze: str, frozen_batchnorm: str
    ) -> None:
        super().__init__()
        assert freeze == "none", "the baseline has nothing to freeze"
        early, late = (0.25, 0.5) if dropout is None else (dropout, dropout)
        stages: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 64)):
            convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
            # the protocol applies ReLU before pooling; values and gradients are the same, the work is a quarter
            stages += [convolution, nn.MaxPool2d(2), nn.ReLU(), PlannedDropout(early)]
        self.features = nn.Sequential(*stages)
        self.hidden = nn.Linear(64 * (side // 8) ** 2, 512)
        self.dropout = PlannedDropout(late)
        self.head = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities of normalised pictures."""
        x = self.features(x).flatten(1)
        x = self.dropout(F.relu(self.hidden(x)))
        return F.log_softmax(self.head(x), dim=1)
