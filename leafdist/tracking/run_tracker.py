"""metrics.jsonl, always, and its guests, W&B and TensorBoard: from rank 0, and never the end of a training."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from leafdist.config.schema import Config, flatten, to_dict
from leafdist.runs.tracker import NullTracker, Tracker
from leafdist.system.network import reason_of
from leafdist.system.plain import to_plain
from leafdist.tracking.background import Aside
from leafdist.tracking.charts import cut_back
from leafdist.tracking.showcase import Showcase
from leafdist.tracking.tensorboard import TensorBoard
from leafdist.tracking.weights_biases import WeightsAndBiases, slurm_ids

Events = list[dict[str, Any]]


class Guest(Tracker, Protocol):
    """Gets what metrics.jsonl gets. Whatever it raises ends it, with a line, and nothing else."""

    name: str

    def start(self, kept: Events, place: tuple[int, int]) -> None:
        """With the events that stand."""

    def drop(self) -> None:
        """Let go of what an error left."""


class RunTracker:
    """Rank 0's tracker. `place` is epoch and step that the checkpoint holds; later events are cut away."""

    def __init__(
        self,
        run_dir: Path,
        name: str,
        config: dict[str, Any],
        *,
        mode: str = "auto",
        project: str = "leafdist",
        entity: str | None = None,
        tags: Sequence[str] = (),
        showcase: Showcase = Showcase(),  # noqa: B008  frozen
        others: Sequence[Guest] = (),
        place: tuple[int, int] = (0, 0),
        say: Callable[[str], None] = print,
    ) -> None:
        about = {"name": name, "config": config, "project": project, "entity": entity, "tags": list(tags)}
        wandb = WeightsAndBiases(run_dir, mode, about, showcase, say)
        self._guests: list[Guest] = [Aside(wandb), *others]
        run_dir.mkdir(parents=True, exist_ok=True)
        path = run_dir / "metrics.jsonl"
        kept = cut_back(path, *place) if path.exists() else []
        self._file = path.open("a", encoding="utf-8")
        self._say = say
        self._each(lambda guest: guest.start(kept, place))

    def log(self, event: Any) -> None:
        if not isinstance(event, dict):
            event = {"event": event.event} | {key: value for key, value in to_plain(event).items() if value is not None}
        valid = json.loads(json.dumps(event), parse_constant=lambda _: None)  # JSON has no NaN and no infinity
        self._file.write(json.dumps(valid) + "\n")
        self._file.flush()
        self._each(lambda guest: guest.log(event))

    def close(self, exit_code: int, summary: dict[str, Any]) -> None:
        """`summary` goes to the guests': `best_epoch` as `best/epoch`."""
        self._file.close()
        self._each(lambda guest: guest.close(exit_code, summary))

    def _each(self, work: Callable[[Guest], None]) -> None:
        for guest in list(self._guests):
            try:
                work(guest)
            except Exception as error:  # noqa: BLE001  whatever a guest breaks, the work goes on
                self._guests.remove(guest)
                off = f"{guest.name} is off for the rest of this job, metrics.jsonl goes on"
                self._say(f"warning: {off}: {reason_of(error)}")
                guest.drop()


def open_tracker(
    config: Config,
    run_dir: Path,
    *,
    active: bool,
    place: tuple[int, int] = (0, 0),
    photos: Path | None = None,
    facts: dict[str, Any] | None = None,
) -> Tracker:
    """photos: the folder of val; facts: what W&B's configuration says besides the settings."""
    if not active:
        return NullTracker()
    track, settings = config.track, to_dict(config)
    shown = Showcase(tables=track.tables, artifact=track.artifact, photos=photos, fit=config.data.fit)
    about: dict[str, Any] = {"project": track.project, "entity": track.entity, "tags": track.tags}
    others = [TensorBoard(run_dir / "tensorboard", flatten(settings))] if track.tensorboard else []
    known = settings | (facts or {}) | ({"slurm": ids} if (ids := slurm_ids()) else {})
    extras: dict[str, Any] = {"showcase": shown, "others": others}
    return RunTracker(run_dir, run_dir.name, known, mode=track.wandb, place=place, **about, **extras)
