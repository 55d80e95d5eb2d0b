"""The settings of a run: each key with its default, range and meaning. No slow import."""

from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any, Literal

from leafdist.config.fields import Section, Value, key
from leafdist.config.networks import NETWORKS
from leafdist.system.arguments import nearest

Auto = Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class RunConfig(Section):
    """The folder of a run, and whether it is resumed."""

    name: str | None = key(None, "the run's folder; null: the config's name, or run; sweeps add W&B's id", kind="name")
    folder: str = key("runs", "folder that holds all runs", kind="path")
    resume: Literal["auto", "never"] = key("auto", "auto: resume the run if it exists; never: refuse an existing run")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Photos, how they are read, and how they are cropped, flipped and normalised."""

    root: str = key("splitted", "folder with {train,val,test}/<class>/<photo>", kind="path")
    extra: list[str] = field(
        default_factory=list,
        metadata={"kind": "path", "help": "more split folders, as [ROOT:SHARE], with their shares of a batch"},
    )
    classes: str | None = key(None, "file of `theirs<TAB>ours` lines: classes of data.extra by our names", kind="path")
    fold: int | None = key(None, "number of the val fold, after `leafdist split --folds`; null: no folds", low=0)
    source: Literal["pack", "folder"] = key("pack", "pack: decode photos once, ahead; folder: in every epoch")
    stage: bool = key(False, "copy root, a folder or an archive, to $SLURM_TMPDIR or $TMPDIR first, once per node")
    cache: str | None = key(None, "folder of the packs; null: beside the photos, or ~/.cache", kind="path")
    resize: int | Auto = key("auto", "pixels per side of a photo before augmentation; auto: timm's, else 64", low=1)
    crop: int | Auto = key("auto", "pixels per side of the crop; 0: none; auto: timm's, 52 for resnet50, else 0", low=0)
    hflip: float | Auto = key("auto", "chance of a left-right flip; auto: 0 for the baseline, else 0.5", low=0, high=1)
    vflip: float | Auto = key("auto", "chance of an upside-down flip; auto: as for hflip", low=0, high=1)
    sampling: Literal["all", "balanced", "sqrt"] = key(
        "all", "data.root's photos in an epoch: all once; balanced: as many of each class; sqrt: by root of the count"
    )
    normalize: Literal["auto", "imagenet", "half", "clip", "none"] = key("auto", "auto: what the network was made for")
    interpolation: Literal["auto", "bilinear", "bicubic"] = key("auto", "filter of resize; auto: timm's, else bilinear")
    eval_crop: Literal["center", "random"] = key("center", "crop in evaluation")
    fit: Literal["stretch", "crop"] = key("stretch", "how photos become square; crop: cut out the middle")
    on_corrupt: Literal["error", "quarantine"] = key("error", "quarantine: train without photos that do not decode")
    max_pixels: int = key(178_956_970, "most pixels of a photo; a small file can claim to be huge", low=1)
    workers: int | Auto = key("auto", "loader processes per rank, for source=folder", low=0)
    placement: Literal["auto", "host", "device"] = key("auto", "auto: packs in the device's memory if they fit")

    @property
    def side(self) -> int:
        """Pixels per side of what the network sees, once `resolve` has settled the crop."""
        return int(self.crop) or int(self.resize)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Section):
    """What is done to the photos in training, beside flips and crops."""

    scale: list[float] | None = key(None, "least and most area of a random resized crop, as shares; null: data.crop's")
    ratio: list[float] = field(
        default_factory=lambda: [0.75, 1.333], metadata={"help": "least and most width/height of that crop"}
    )
    rotate: float = key(0.0, "most degrees of a rotation", low=0, high=180)
    color: float = key(0.0, "most change of brightness, contrast, saturation; of hue a quarter of it", low=0, high=1)
    gray: float = key(0.0, "chance of no colour", low=0, high=1)
    blur: float = key(0.0, "chance of a Gaussian blur", low=0, high=1)
    erase: float = key(0.0, "chance of an erased rectangle", low=0, high=1)
    trivial: bool = key(False, "TrivialAugment: one operation per photo, of any strength")
    background: float = key(0.0, "chance of another background; needs the masks of `leafdist masks`", low=0, high=1)
    background_folder: str | None = key(None, "folder of photos for that; null: drawn textures", kind="path")
    mixup: float = key(0.0, "alpha of mixup's Beta distribution; 0: off", low=0)
    cutmix: float = key(0.0, "alpha of CutMix's; 0: off; with mixup each batch gets one of the two", low=0)
    mix_off_epochs: int = key(0, "last epochs, of train.epochs, without mixup and CutMix", low=0)

    @property
    def draws_anew(self) -> bool:
        """Whether each epoch shows a photo otherwise, flips, crops and mixing apart."""
        every = self.scale, self.rotate, self.color, self.gray, self.blur, self.erase, self.trivial
        return any(every)

    @property
    def mixes(self) -> bool:
        """Whether photos are mixed in some epoch."""
        return self.mixup > 0 or self.cutmix > 0


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """The network, its weights, and which layers are trained."""

    name: str = key("resnet50", "the network: resnet50, baseline or timm/<name>")
    weights: str = key("auto", "torchvision's or timm's name, file, run or none; auto: the network's own", kind="path")
    freeze: str = key(
        "auto",
        "freeze layers up to and including this one; auto: layer1 for resnet50 with weights, else none",
        choices=lambda: dict.fromkeys(("auto", "none", *(stage for row in NETWORKS.values() for stage in row.stages))),
    )
    frozen_batchnorm: Literal["eval", "train"] = key("eval", "train: frozen BatchNorm still updates its statistics")
    dropout: float | None = key(None, "rate for all dropout layers; null: the network's own rates", low=0, below=1)
    drop_path: float = key(0.0, "rate at which a timm network skips its last block; earlier ones less", low=0, below=1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """Length of the training, its steps, checkpoints and arithmetic."""

    epochs: int = key(30, "passes over the training photos", low=1)
    head_epochs: int = key(0, "first epochs, of train.epochs, of the head alone; lr's schedule begins then", low=0)
    batch_size: int = key(256, "global batch size: photos per step, over all processes", low=1)
    accumulate: int = key(1, "least number of micro-batches per step", low=1)
    max_rows: int | None = key(None, "most photos per device at a time; adds micro-batches as needed", low=1)
    timeout_minutes: float = key(10.0, "minutes that a process waits for the others", above=0)
    precision: Literal["auto", "no", "bf16", "fp16"] = key("auto", "no: fp32, TF32; auto: bf16 or fp16 if in hardware")
    channels_last: bool = key(True, "store images channels-last, which most GPUs convolve faster")
    compile: bool = key(False, "torch.compile: starts minutes later; little gain where launches bound a step")
    graph: Literal["auto", "always", "never"] = key("auto", "launch each step as one CUDA graph; auto: if it can be")
    sync_batchnorm: bool = key(False, "compute BatchNorm's statistics over all processes")
    clip_norm: float | None = key(None, "clip the gradient to this norm; null: no clipping", above=0)
    log_every: int = key(10, "steps between lines of metrics.jsonl", low=1)
    save_every: int = key(0, "steps between checkpoints, beside those of save_minutes and epochs; 0: none", low=0)
    save_minutes: float = key(10.0, "minutes between checkpoints", above=0)
    ema: float = key(
        0.0, "decay per step of an average of the weights, which is validated and kept; 0: off", low=0, below=1
    )
    patience: int = key(0, "stop after so many epochs without a better one; 0: never", low=0)
    select: Literal["accuracy", "macro_f1", "balanced_accuracy", "loss", "worst_root", "mean_root"] = key(
        "accuracy", "what decides on val which epoch is best; worst_root, mean_root: accuracy by root, with data.extra"
    )
    max_steps: int | None = key(None, "stop after so many steps; null: after train.epochs", low=1)
    deterministic: bool = key(False, "deterministic kernels: resume bit for bit on GPUs too; slower")
    evaluate_train: bool = key(False, "after each epoch, evaluate the training photos too")


@dataclass(frozen=True, kw_only=True)
class OptimConfig(Section):
    """The optimizer and its learning rate over time."""

    name: Literal["adam", "adamw", "sgd"] = key("adam", "the optimizer")
    lr: float = key(1e-3, "learning rate for the global batch", above=0)
    backbone_factor: float = key(1.0, "learning rate of all but the head, as a share of lr", above=0)
    layer_decay: float = key(1.0, "factor on the learning rate per layer, counted from the head", above=0, high=1)
    weight_decay: float = key(0.0, "weight decay", low=0)
    schedule: Literal["step", "constant", "cosine"] = key("step", "step: times gamma every step_size epochs")
    step_size: int = key(7, "epochs between two drops of the learning rate, for schedule=step", low=1)
    gamma: float = key(0.1, "factor of each drop, for schedule=step", above=0)
    warmup_epochs: float = key(0.0, "epochs of linear warm-up", low=0)
    label_smoothing: float = key(0.0, "share of each target that is spread over all classes", low=0, below=1)
    class_weights: str = key(
        "none", "weights of the classes in the loss, by data.root: none, balanced, sqrt, a file", kind="path"
    )


@dataclass(frozen=True, kw_only=True)
class TrackConfig(Section):
    """Trackers that get the metrics too, beside metrics.jsonl."""

    wandb: Literal["auto", "online", "offline", "off"] = key("auto", "Weights & Biases; auto: online if possible")
    project: str = key("leafdist", "W&B project")
    entity: str | None = key(None, "W&B team; null: your default team")
    tags: list[str] = field(default_factory=list, metadata={"help": "W&B tags, such as [a,b]; --track.tags+ adds some"})
    tables: bool = key(True, "at the end, upload val's confusion and worst mistakes to W&B")
    artifact: bool = key(True, "at the end, upload the best checkpoint to W&B")
    tensorboard: bool = key(False, "also write <run>/tensorboard; needs the extra `tensorboard`")


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    """All settings of a run, in sections."""

    seed: int = key(0, "random seed", low=0, high=2**32 - 1)
    run: RunConfig = field(default_factory=RunConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    track: TrackConfig = field(default_factory=TrackConfig)

    @property
    def crop_seed(self) -> int | None:
        """The seed of evaluation's random crops; None: center crops."""
        return self.seed if self.data.eval_crop == "random" else None


SECTIONS: dict[str, Any] = {item.name: item.default_factory for item in fields(Config) if item.name != "seed"}
KEYS: dict[str, Field[Any]] = {"seed": fields(Config)[0]} | {
    f"{name}.{item.name}": item for name, section in SECTIONS.items() for item in fields(section)
}


def to_dict(config: Config) -> dict[str, Value | dict[str, Value]]:
    """Return nested plain values, for YAML and JSON."""
    return asdict(config)


def from_dict(values: Mapping[str, Any]) -> Config:
    """Undo `to_dict`; absent keys get their defaults. Raises ValueError on an unknown key."""
    parts: dict[str, dict[str, Any]] = {name: {} for name in ("", *SECTIONS)}
    for name, value in flatten(values).items():
        section, _, leaf = name.rpartition(".")
        parts[section][leaf] = value
    return Config(**parts[""], **{name: section(**parts[name]) for name, section in SECTIONS.items()})


def saved(values: Mapping[str, Any]) -> Config:
    """`from_dict` of what a run has kept, which may be older than a key."""
    data, train = {"interpolation": "bilinear", **values.get("data", {})}, {"graph": "never", **values.get("train", {})}
    return from_dict({**values, "data": data, "train": train})


def flatten(values: Any, section: str = "") -> dict[str, Value]:
    """Turn `{"optim": {"lr": 1}}` into `{"optim.lr": 1}`. Raises ValueError on an unknown key."""
    if not isinstance(values, Mapping):
        expected = f"a mapping of {', '.join(known_keys(section))}"
        raise ValueError(f"{section or 'configuration'}={values}: must be {expected}")  # noqa: TRY004 - a user's error
    flat = dict[str, Value]()
    for name, value in values.items():
        full = f"{section}.{name}" if section else str(name)
        if full not in SECTIONS and full not in KEYS:
            raise ValueError(unknown_key(full))
        inside = {} if value in (None, "", "null", "~") else value
        found = flatten(inside, full) if full in SECTIONS else {full: value}
        if twice := flat.keys() & found:
            raise ValueError(f"{min(twice)} is given twice, as a line and in its section. Remove one")
        flat |= found
    return flat


def known_keys(section: str) -> list[str]:
    """The names of a section's keys; of the top level where there is no such section."""
    return [item.name for item in fields(SECTIONS.get(section, Config))]


def unknown_key(name: str, flags: Sequence[str] = ()) -> str:
    """Say that a key is unknown, with what was likely meant, a key or one of `flags`, and the keys of its section."""
    if name in SECTIONS:
        return f"{name}: a section, not a key; known keys of {name}: {', '.join(known_keys(name))}"
    section, _, leaf = name.replace("-", "_").rpartition(".")
    own = known_keys(section) if section in SECTIONS else [] if section else [*SECTIONS, *flags]
    leaves = {known: known.rpartition(".")[2] for known in KEYS}
    close = [known for known in KEYS if leaves[known] == leaf]
    close = close or [f"{section}.{key}".lstrip(".") for key in nearest(leaf, own)]
    close = close or [known for known in KEYS if leaves[known] in nearest(leaf, leaves.values(), sure=True)]
    hint = f"; did you mean {' or '.join(close)}?" if close else "."
    owner = f" of {section}" if section in SECTIONS else ""
    return f"{name}: unknown key{hint} Known keys{owner}: {', '.join(known_keys(section))}"
