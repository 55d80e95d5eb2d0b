"""How far training is: a bar on a terminal, plain lines in a batch log; silent on all ranks but 0."""

import time
from datetime import timedelta

from leafdist.runs.events import EpochEvent, StepEvent
from leafdist.runs.facts import score_text
from leafdist.system import console


class Progress:
    """Steps of the whole run, images per second, and the time left."""

    def __init__(self, total_steps: int, start: int, select: str = "", *, shown: bool) -> None:
        self.shown, self.total, self.start, self.select = shown, total_steps, start, select
        self.began = time.monotonic()
        self.bar = console.bar(total_steps, "step", start=start, shown=shown)

    def step(self, event: StepEvent) -> None:
        """Show how the last steps went."""
        if self.bar.shown:
            note = f"loss {event.loss:.4f} {event.images_per_second:.0f} images/s"
            self.bar.update(event.step - self.bar.n, note)
        elif self.shown:
            done = event.step - self.start
            left = (self.total - event.step) * (time.monotonic() - self.began) / max(1, done)
            console.say(
                f"epoch {event.epoch + 1} step {event.step}/{self.total} loss {event.loss:.4f} "
                f"lr {event.lr:.2e} {event.images_per_second:.0f} images/s, {timedelta(seconds=int(left))} left"
            )

    def epoch(self, event: EpochEvent, *, best: bool) -> None:
        """Show how the epoch went."""
        if not self.shown:
            return
        score = score_text(self.select, event.val_score)
        roots = "".join(f", {name} accuracy {found.accuracy:.4f}" for name, found in (event.roots or {}).items())
        console.say(
            f"epoch {event.epoch + 1}: train loss {event.train_loss:.4f} accuracy {event.train_accuracy:.4f}, "
            f"val loss {event.val_loss:.4f} accuracy {event.val_accuracy:.4f}{roots}"
            f"{score and f' {score}'}{' (best)' if best else ''}, "
            f"{event.seconds:.1f} s"
        )

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()
