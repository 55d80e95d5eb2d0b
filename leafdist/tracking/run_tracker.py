"""metrics.jsonl, always, and its guests, W&B and TensorBoard: written by rank 0, and never the end of a training."""

from collections.abc import Callable, Sequence
from pathlib import Path

from leafdist.config.schema import Config, flatten, to_dict
from leafdist.runs.events import Event
from leafdist.runs.facts import RunResult
from leafdist.runs.layout import RunLayout
from leafdist.runs.metrics_log import cut_back, line_of
from leafdist.runs.tracker import NullTracker, Tracker
from leafdist.system.network import reason_of
from leafdist.tracking.background import Aside, Guest
from leafdist.tracking.showcase import Showcase
from leafdist.tracking.tensorboard import TensorBoard
from leafdist.tracking.wandb_client import WandbRun
from leafdist.tracking.weights_biases import WeightsAndBiases, slurm_ids


class RunTracker:
    """Rank 0's tracker. `position` is epoch and step of the checkpoint; later events are cut away."""

    def __init__(
        self, run: Path, guests: Sequence[Guest], position: tuple[int, int] = (0, 0), say: Callable[[str], None] = print
    ) -> None:
        run.mkdir(parents=True, exist_ok=True)
        path = RunLayout(run).metrics
        kept = cut_back(path, *position) if path.exists() else []
        self._guests, self._say = list(guests), say
        self._file = path.open("a", encoding="utf-8")
        self._each(lambda guest: guest.start(kept, position))

    def log(self, event: Event) -> None:
        """Append the event to metrics.jsonl and pass it to the guests."""
        self._file.write(line_of(event))
        self._file.flush()
        self._each(lambda guest: guest.log(event))

    def close(self, exit_code: int, result: RunResult | None) -> None:
        """Close metrics.jsonl and the guests."""
        self._file.close()
        self._each(lambda guest: guest.close(exit_code, result))

    def _each(self, work: Callable[[Guest], None]) -> None:
        for guest in list(self._guests):
            try:
                work(guest)
            except Exception as error:  # noqa: BLE001  whatever a guest breaks, training continues
                self._guests.remove(guest)
                off = f"{guest.name} is off for the rest of this job, metrics.jsonl continues"
                self._say(f"warning: {off}: {reason_of(error)}")
                guest.drop()


def open_tracker(
    config: Config,
    run: Path,
    *,
    active: bool,
    position: tuple[int, int] = (0, 0),
    photos: Path | None = None,
    facts: dict[str, dict[str, int]] | None = None,
) -> Tracker:
    """Open the tracker of a rank. photos: the folder of val; facts: added to the configuration at W&B."""
    if not active:
        return NullTracker()
    track, settings = config.track, to_dict(config)
    slurm = {"slurm": ids} if (ids := slurm_ids()) else {}
    about = WandbRun(run.name, track.project, track.entity, tuple(track.tags), settings | (facts or {}) | slurm)
    shown = Showcase(tables=track.tables, artifact=track.artifact, photos=photos, fit=config.data.fit)
    guests: list[Guest] = [Aside(WeightsAndBiases(run, track.wandb, about, shown))]
    if track.tensorboard:
        guests.append(TensorBoard(RunLayout(run).tensorboard, flatten(settings)))
    return RunTracker(run, guests, position)
