"""What run.json and the header of a checkpoint hold."""

from dataclasses import dataclass, field
from pathlib import Path

from leafdist.config.schema import Config, DataConfig
from leafdist.data.photo_facts import SplitFacts
from leafdist.runs.layout import RunLayout
from leafdist.system import files
from leafdist.system.console import counted
from leafdist.system.plain import from_plain, to_plain

SHOWN = 5  # names in a line of the log
SELECTED = {  # as people write it
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "worst_root": "accuracy of the worst root",
    "mean_root": "mean accuracy of the roots",
}


@dataclass(frozen=True)
class Start:
    """One start of the run: when, from which optimizer step, on what; folder: where relative paths start."""

    time: str | None = None
    step: int = 0
    world_size: int = 1
    device: str = "cpu"
    host: str | None = None
    folder: str | None = None
    slurm_job_id: str | None = None
    git_commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """The run in a few numbers; best_epoch counts from 0; best_val_score: see EpochEvent.val_score."""

    steps: int
    seconds: float
    best_epoch: int
    best_val_accuracy: float
    best_val_loss: float
    best_val_score: float | None = None


@dataclass(frozen=True)
class HeadFacts:
    """The classes whose rows of the head were copied from the checkpoint `weights`, and those that were drawn."""

    weights: str
    copied: list[str]
    drawn: list[str]

    @property
    def text(self) -> str:
        """A line for the log, with the first few names."""
        copied, drawn = len(self.copied), len(self.drawn)
        names = ", ".join([*self.drawn[:SHOWN], "…"] if drawn > SHOWN else self.drawn)
        more = f", {drawn} drawn ({names})" if drawn else ""
        return f"head: {copied} of {counted(copied + drawn, 'class')} copied from {self.weights} by name{more}"


@dataclass(frozen=True)
class AverageFacts:
    """The runs that were averaged, their checkpoints' digests and val accuracies; with start, the share of the run.

    batchnorm_photos: those from which BatchNorm's statistics were computed anew, 0 where they were not.
    """

    runs: list[str]
    checkpoints: list[str]
    val_accuracies: list[float]
    start: str | None = None
    share: float | None = None
    batchnorm_photos: int = 0


@dataclass(frozen=True)
class RunFacts:
    """run.json. state: new, running, interrupted, failed or finished; reason: why it failed or was interrupted;
    passed_over: files of each split that are no photos, by kind; head: of a run that began from another's checkpoint;
    weights_sha256: of the file of weights that it began from; class_weights: by label, of the classes in the loss;
    class_map: what `data.classes` said; masks: digest of the leaf masks; backgrounds: of the photos behind the
    leaves; average: of one that was not trained.
    """

    state: str = "new"
    starts: list[Start] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    data: dict[str, SplitFacts] = field(default_factory=dict)
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)
    head: HeadFacts | None = None
    weights_sha256: str | None = None
    class_weights: list[float] | None = None
    class_map: dict[str, str] | None = None
    masks: str | None = None
    backgrounds: str | None = None
    average: AverageFacts | None = None
    wandb_id: str | None = None
    reason: str | None = None
    steps: int | None = None
    seconds: float | None = None
    best_epoch: int | None = None
    best_val_accuracy: float | None = None
    best_val_loss: float | None = None
    best_val_score: float | None = None
    ended: str | None = None


@dataclass(frozen=True)
class Preprocessing:
    """What evaluation and prediction do to a photo before the network sees it."""

    resize: int
    fit: str
    crop: int
    eval_crop: str
    normalize: str
    interpolation: str = "bilinear"

    @classmethod
    def from_config(cls, data: DataConfig) -> "Preprocessing":
        """Read the settings of a resolved configuration."""
        return cls(int(data.resize), data.fit, int(data.crop), data.eval_crop, data.normalize, data.interpolation)


@dataclass(frozen=True)
class CheckpointMeta:
    """The header of best/model.safetensors, repeated in best/meta.json; epoch counts from 0.

    `config` is that of the training; `sha256` is the digest of the tensors; `val_score`: see EpochEvent.
    """

    classes: list[str]
    preprocessing: Preprocessing
    epoch: int
    val_accuracy: float
    val_loss: float
    config: Config
    sha256: str
    val_score: float | None = None

    @property
    def score_name(self) -> str:
        """What epochs are selected by, as people write it; nothing where that is accuracy or loss."""
        return SELECTED.get(self.config.train.select, "")

    @property
    def score_text(self) -> str:
        """What epochs are selected by, with its value in this one: `macro F1 0.8125`; nothing for accuracy and loss."""
        return score_text(self.config.train.select, self.val_score)


def score_text(select: str, score: float | None) -> str:
    """Name a figure that epochs are selected by, with its value; nothing for None."""
    return "" if score is None else f"{SELECTED[select]} {score:.4f}"


def read_facts(run: Path) -> RunFacts:
    """Read run.json; a run that is just being made has none yet. Raises ValueError if it is damaged."""
    path = RunLayout(run).facts
    if not path.exists():
        return RunFacts()
    return from_plain(RunFacts, files.read_object(path, state=str, starts=list), path)


def write_facts(run: Path, facts: RunFacts) -> None:
    """Write run.json, without the keys that have no value yet."""
    values = {
        key: value for key, value in to_plain(facts).items() if value is not None or (key == "reason" and facts.ended)
    }
    files.write_json(RunLayout(run).facts, values)
