"""Settings of a run: each key with its default, range and meaning, and what contradicts what. No slow import."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from importlib.util import find_spec
from typing import Any, Literal

from leafdist.config.fields import Section, key


@dataclass(frozen=True, kw_only=True)
class RunConfig(Section):
    """Where a run is kept, and whether it goes on."""

    name: str | None = key(
        None, "folder of the run below run.folder; null: the config file's name, in a sweep with W&B's id"
    )
    folder: str = key("runs", "where runs are kept")
    resume: Literal["auto", "never"] = key("auto", "auto: go on where the run stopped; never: refuse an existing run")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is not None and (self.name in ("", ".", "..") or "/" in self.name):
            raise ValueError(f"run.name={self.name}: must be a plain folder name; its place is run.folder")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which photos, how they are read, and what is done to their pixels."""

    root: str = key("splitted", "folder of {train,val,test}/<class>/<photo>")
    fold: int | None = key(None, "which part of `leafdist split --folds` is val; null: root has no folds", low=0)
    source: Literal["auto", "pack", "folder"] = key("auto", "pack: decode once and map into memory; folder: each time")
    stage: bool = key(default=False, text="copy to $SLURM_TMPDIR or $TMPDIR first, once a node; root: an archive too")
    cache: str | None = key(None, "where packs are kept; null: beside the data, or a cache folder if that is read-only")
    resize: int = key(64, "pixels of a photo's side, before anything random", low=1)
    crop: int | Literal["auto"] = key("auto", "pixels of the crop, 0: none; auto: 52 for resnet50, else 0", low=0)
    hflip: float | Literal["auto"] = key("auto", "chance of a flip left-right; auto as vflip", low=0, high=1)
    vflip: float | Literal["auto"] = key("auto", "chance of a flip; auto: 0.5 for resnet50, else 0", low=0, high=1)
    normalize: Literal["auto", "imagenet", "none"] = key("auto", "auto: imagenet for resnet50, else none")
    eval_crop: Literal["center", "random"] = key("center", "crop of evaluation")
    fit: Literal["stretch", "crop"] = key("stretch", "to a square: as the protocol does, or the middle of the photo")
    on_corrupt: Literal["error", "quarantine"] = key(
        "error", "quarantine: train without bad photos, count them as wrong"
    )
    workers: int | Literal["auto"] = key("auto", "loader processes a rank, for source=folder", low=0)
    placement: Literal["auto", "host", "device"] = key(
        "auto", "keep packs in host or device memory; auto: device if they fit"
    )

    @property
    def side(self) -> int:
        """Pixels of the side of a picture as the network sees it, once `resolve` has settled the crop."""
        return int(self.crop) or self.resize


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    name: Literal["resnet50", "baseline"] = key("resnet50", "the network")
    weights: str = key("auto", "torchvision's name, a file, or none; auto: IMAGENET1K_V2 for resnet50, else none")
    freeze: Literal["auto", "none", "stem", "layer1", "layer2", "layer3", "all"] = key(
        "auto", "freeze everything up to and including it; auto: layer1 for resnet50 with weights, else none"
    )
    frozen_batchnorm: Literal["eval", "train"] = key("eval", "train: statistics of frozen BatchNorm still move")
    dropout: float | None = key(None, "replaces all of the baseline's rates; null: its own", low=0, below=1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """How long, in what steps, and with what arithmetic."""

    epochs: int = key(30, "passes over the training photos", low=1)
    batch_size: int = key(256, "photos an optimizer step, over all processes", low=1)
    accumulate: int = key(1, "least number of micro-batches a step", low=1)
    max_rows: int | None = key(None, "most photos on a device at once; more micro-batches where needed", low=1)
    timeout_minutes: float = key(10.0, "how long a process waits for the others", above=0)
    precision: Literal["auto", "no", "bf16", "fp16"] = key("auto", "auto: bf16 where the device has it, else no")
    channels_last: bool = key(default=True, text="memory format of the device's convolutions")
    compile: bool = key(default=False, text="torch.compile the network: minutes to start, then faster on most devices")
    sync_batchnorm: bool = key(default=False, text="BatchNorm's statistics over the photos of all processes")
    clip_norm: float | None = key(None, "largest norm of the gradient; null: no clipping", above=0)
    log_every: int = key(10, "optimizer steps between lines of metrics.jsonl", low=1)
    save_every: int = key(0, "optimizer steps between checkpoints; 0: by save_minutes, and at an epoch's end", low=0)
    save_minutes: float = key(10.0, "minutes between checkpoints", above=0)
    max_steps: int | None = key(None, "stop after so many optimizer steps", low=1)
    deterministic: bool = key(default=False, text="deterministic kernels, bit for bit on GPUs too; slower")
    evaluate_train: bool = key(default=False, text="evaluate the training photos too after each epoch")


@dataclass(frozen=True, kw_only=True)
class OptimConfig(Section):
    """The optimizer and its learning rate over time."""

    name: Literal["adam", "adamw", "sgd"] = key("adam", "the optimizer")
    lr: float = key(1e-3, "learning rate, of the global batch", above=0)
    weight_decay: float = key(0.0, "weight decay", low=0)
    schedule: Literal["step", "constant", "cosine"] = key("step", "step: times gamma every step_size epochs")
    step_size: int = key(7, "epochs between drops, for schedule=step", low=1)
    gamma: float = key(0.1, "factor of a drop, for schedule=step", above=0)
    warmup_epochs: float = key(0.0, "epochs of linear warm-up", low=0)
    label_smoothing: float = key(0.0, "share of the target spread over all classes", low=0, below=1)


@dataclass(frozen=True, kw_only=True)
class TrackConfig(Section):
    wandb: Literal["auto", "online", "offline", "off"] = key("auto", "Weights & Biases")
    project: str = key("leafdist", "W&B project")
    entity: str | None = key(None, "W&B team; null: your default")
    tags: list[str] = field(default_factory=list, metadata={"help": "W&B tags, such as [a,b]"})
    tables: bool = key(default=True, text="to W&B at the end: confusion and worst mistakes of val")
    artifact: bool = key(default=True, text="to W&B at the end: the best checkpoint")
    tensorboard: bool = key(default=False, text="write <run>/tensorboard too; needs the extra tensorboard")


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    seed: int = key(0, "random seed", low=0, high=2**32 - 1)
    run: RunConfig = field(default_factory=RunConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    track: TrackConfig = field(default_factory=TrackConfig)

    @property
    def crop_seed(self) -> int | None:
        """Seed of the random crops of evaluation; None: the middle of the photo."""
        return self.seed if self.data.eval_crop == "random" else None


SECTIONS: dict[str, Any] = {item.name: item.default_factory for item in fields(Config) if item.name != "seed"}
KEYS: dict[str, Field[Any]] = {"seed": fields(Config)[0]} | {
    f"{name}.{item.name}": item for name, section in SECTIONS.items() for item in fields(section)
}
FREE = re.compile(  # what a run that goes on may change
    r"(run|track)\..*|data\.(root|stage|cache|workers|source|placement)"
    r"|train\.(log_every|save_every|save_minutes|timeout_minutes|accumulate|max_rows|evaluate_train)"
)


def resolve(config: Config) -> Config:
    """Replace every auto that hangs on the model alone. Raises ValueError where settings contradict each other."""

    def pick(value: Any, for_resnet: Any, for_baseline: Any) -> Any:
        return value if value != "auto" else for_resnet if model.name == "resnet50" else for_baseline

    data, model = config.data, config.model
    weights = pick(model.weights, "IMAGENET1K_V2", "none")
    freeze = pick(model.freeze, "none" if weights == "none" else "layer1", "none")
    source, normalize = pick(data.source, "pack", "pack"), pick(data.normalize, "imagenet", "none")
    crop, hflip, vflip = pick(data.crop, 52, 0), pick(data.hflip, 0.5, 0.0), pick(data.vflip, 0.5, 0.0)
    data = replace(data, source=source, crop=crop, hflip=hflip, vflip=vflip, normalize=normalize)
    config = replace(config, data=data, model=replace(model, weights=weights, freeze=freeze))
    for wrong, message in contradictions(config):
        if wrong:
            raise ValueError(message)
    return config


def contradictions(config: Config) -> list[tuple[bool, str]]:
    """Of a resolved configuration: whether it has the fault, and what to say then, with the way out."""
    data, model, train, warmup = config.data, config.model, config.train, config.optim.warmup_epochs
    crop, weights, resnet = int(data.crop), model.weights, model.name == "resnet50"
    frozen, freeze = model.freeze != "none", f"model.freeze={model.freeze}"
    small = not resnet and (crop or data.resize) < 8  # it halves its picture three times
    size = f"data.crop={crop}, data.resize={data.resize}"
    no_board = config.track.tensorboard and find_spec("tensorboard") is None
    return [
        (crop > data.resize, f"{size}: the crop is larger than the picture; lower data.crop or raise data.resize"),
        (small, f"{size}: the baseline needs 8 pixels; raise data.resize, or data.crop where it is not 0"),
        (frozen and not resnet, f"{freeze}: the baseline has nothing to freeze; set it to none"),
        (frozen and weights == "none", f"{freeze} would freeze random weights; set it to none, or name model.weights"),
        (not resnet and weights.startswith("IMAGENET"), f"model.weights={weights} are resnet50's; set it to none"),
        (resnet and model.dropout is not None, f"model.dropout={model.dropout}: resnet50 has none; leave it null"),
        (warmup > train.epochs, f"optim.warmup_epochs={warmup}: longer than train.epochs={train.epochs}; lower it"),
        (no_board, "track.tensorboard=true: needs `pip install tensorboard`, or leave it false"),
    ]


def check_world(config: Config, world: int) -> None:
    """Raises ValueError where a process would never get a row."""
    if (rows := config.train.batch_size) < world:
        raise ValueError(f"train.batch_size={rows}: too few for {world} processes; raise it or start fewer of them")


def to_dict(config: Config) -> dict[str, Any]:
    """Nested plain values, for YAML and JSON."""
    return asdict(config)


def from_dict(values: Mapping[str, Any]) -> Config:
    """The inverse of `to_dict`; absent keys get their defaults. Raises ValueError on an unknown key."""
    parts: dict[str, dict[str, Any]] = {name: {} for name in ("", *SECTIONS)}
    for name, value in flatten(values).items():
        section, _, leaf = name.rpartition(".")
        parts[section][leaf] = value
    return Config(**parts[""], **{name: section(**parts[name]) for name, section in SECTIONS.items()})


def flatten(values: Any, section: str = "") -> dict[str, Any]:
    """`{"optim": {"lr": 1}}` to `{"optim.lr": 1}`, an empty section to nothing. Raises ValueError on an unknown key."""
    if not isinstance(values, Mapping):
        expected = f"a mapping of {', '.join(known_keys(section))}"
        raise ValueError(f"{section or 'configuration'}={values}: must be {expected}")  # noqa: TRY004 - a user's error
    flat: dict[str, Any] = {}
    for name, value in values.items():
        full = f"{section}.{name}" if section else str(name)
        if full in SECTIONS:
            flat |= flatten({} if value is None else value, full)
        elif full in KEYS:
            flat[full] = value
        else:
            raise ValueError(unknown_key(full))
    return flat


def known_keys(section: str) -> list[str]:
    return [item.name for item in fields(SECTIONS.get(section, Config))]


def unknown_key(name: str) -> str:
    """The message, with the closest key and what the section knows."""
    if name in SECTIONS:
        return f"{name}: a section, not a key; known keys of {name}: {', '.join(known_keys(name))}"
    section, _, leaf = name.replace("-", "_").rpartition(".")
    close = [known for known in KEYS if known.rpartition(".")[2] == leaf]
    close = close or difflib.get_close_matches(name, [*KEYS, *SECTIONS], n=1)
    hint = f"; did you mean {' or '.join(close)}?" if close else "."
    place = f" of {section}" if section in SECTIONS else ""
    return f"{name}: unknown key{hint} Known keys{place}: {', '.join(known_keys(section))}"


def differences(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """Lines `optim.lr: 0.001 -> 0.002`: what a run that goes on must not change, and what it may."""
    fixed, free = list[str](), list[str]()
    before, after = flatten(to_dict(old)), flatten(to_dict(new))
    for name in KEYS:
        if before[name] != after[name]:
            longer = name == "train.epochs" and before[name] < after[name] and new.optim.schedule != "cosine"
            (free if longer or FREE.fullmatch(name) else fixed).append(f"{name}: {before[name]} -> {after[name]}")
    return fixed, free
