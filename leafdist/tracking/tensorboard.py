"""TensorBoard: the numbers of metrics.jsonl by W&B's names, and the settings."""

import math
from pathlib import Path
from typing import Any

from leafdist.tracking.charts import row_of, summary_of

COMPARED = {"best/val_accuracy": 0.0, "best/val_loss": 0.0}  # what runs are compared by in the table of settings


class TensorBoard:
    """Writes to `folder`, each line at once, as metrics.jsonl is: a kill loses none that the checkpoint relies on."""

    name = "TensorBoard"

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder, self._settings = folder, settings

    def start(self, kept: list[dict[str, Any]], place: tuple[int, int]) -> None:
        """What was written from the resumed step on is hidden; what stands of that is written again."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        since = place[1] if any(self._folder.glob("events.*")) else 0
        self._writer = SummaryWriter(str(self._folder), purge_step=since)
        self._file = self._writer._get_file_writer()
        plain = {key: value if isinstance(value, (int, float)) else str(value) for key, value in self._settings.items()}
        experiment, session, self._session_end = hparams(plain, COMPARED)
        for summary in (experiment, session):
            self._file.add_summary(summary)
        for event in kept:
            if event.get("step", -1) >= since:
                self.log(event)

    def log(self, event: dict[str, Any]) -> None:
        row = row_of(event)
        self._write(row, row.pop("step", 0))
        self._last = event.get("step", 0)

    def close(self, exit_code: int, summary: dict[str, Any]) -> None:
        if exit_code == 0:
            self._write({name: value for name, value in summary_of(summary).items() if name in COMPARED}, self._last)
            self._file.add_summary(self._session_end)
        self._writer.close()

    def drop(self) -> None: ...

    def _write(self, row: dict[str, Any], step: int) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, math.nan if value is None else value, step)
        if row:
            self._writer.flush()
