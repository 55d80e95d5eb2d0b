"""How far training is: a bar on a terminal, plain lines in a batch log; silent on other ranks."""

import sys
import time
from typing import Any

from leafdist.system import console


class Progress:
    """Steps of the whole run, images a second, and the time left."""

    def __init__(self, total_steps: int, start: int, *, shown: bool) -> None:
        self.shown, self.total, self.start = shown, total_steps, start
        self.began = time.monotonic()
        on_terminal = shown and console.on_terminal(sys.stderr)
        self.bar = console.bar(total_steps, "step", start=start) if on_terminal else None

    def step(self, event: dict[str, Any]) -> None:
        """Show a `step` event."""
        if self.bar is not None:
            note = f"loss {event['loss']:.4f} {event['images_per_second']:.0f} images/s"
            self.bar.update(event["step"] - self.bar.n, note)
        elif self.shown:
            done = event["step"] - self.start
            left = (self.total - event["step"]) * (time.monotonic() - self.began) / max(1, done)
            console.say(
                f"epoch {event['epoch'] + 1} step {event['step']}/{self.total} loss {event['loss']:.4f} "
                f"lr {event['lr']:.2e} {event['images_per_second']:.0f} images/s, {_clock(left)} left"
            )

    def epoch(self, event: dict[str, Any], *, best: bool) -> None:
        """Show an `epoch` event."""
        if not self.shown:
            return
        console.say(
            f"epoch {event['epoch'] + 1}: train loss {event['train_loss']:.4f} "
            f"accuracy {event['train_accuracy']:.4f}, "
            f"val loss {event['val_loss']:.4f} accuracy {event['val_accuracy']:.4f}{' (best)' if best else ''}, "
            f"{event['seconds']:.1f} s"
        )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
