"""TensorBoard: the numbers of metrics.jsonl by W&B's names, and the settings."""

from pathlib import Path
from typing import Any

from leafdist.runs.events import EndEvent, Event
from leafdist.runs.facts import RunResult
from leafdist.tracking.charts import row_of, summary_of

COMPARED = {"best/val_accuracy": 0.0, "best/val_loss": 0.0}  # what runs are compared by in the table of settings


class TensorBoard:
    """Writes to `folder`, each line at once, as metrics.jsonl is: a kill loses none that the checkpoint relies on."""

    name = "TensorBoard"

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder, self._settings = folder, settings

    def start(self, kept: list[Event], position: tuple[int, int]) -> None:
        """Hide what was written from the resumed step on, and write again what was kept of that."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        self._last = position[1]
        since = self._last if any(self._folder.glob("events.*")) else 0
        self._writer = SummaryWriter(str(self._folder), purge_step=since)
        self._file = self._writer._get_file_writer()  # private: add_hparams would open a second file
        plain = {key: value if isinstance(value, (int, float)) else str(value) for key, value in self._settings.items()}
        experiment, session, self._session_end = hparams(plain, COMPARED)
        for summary in (experiment, session):
            self._file.add_summary(summary)
        for event in kept:
            if not isinstance(event, EndEvent) and event.step >= since:
                self.log(event)

    def log(self, event: Event) -> None:
        """Write the numbers of a step or epoch."""
        row = row_of(event)
        self._write(row, int(row.pop("step", 0)))
        if not isinstance(event, EndEvent):
            self._last = event.step

    def close(self, exit_code: int, result: RunResult | None) -> None:
        """Write the result of a training that went well, by which runs are compared."""
        if exit_code == 0:
            self._write({name: value for name, value in summary_of(result).items() if name in COMPARED}, self._last)
            self._file.add_summary(self._session_end)
        self._writer.close()

    def drop(self) -> None:
        """Do nothing: each line was flushed."""

    def _write(self, row: dict[str, float], step: int) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)
        if row:
            self._writer.flush()
