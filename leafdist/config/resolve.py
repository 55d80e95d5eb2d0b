"""Settles each auto of a configuration by its network; refuses settings that contradict each other."""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from leafdist.config.extra_roots import check_roots
from leafdist.config.networks import NETWORKS, network
from leafdist.config.schema import AugmentConfig, Config


def resolve(config: Config) -> Config:
    """Replace every auto that depends on the network alone. Raises ValueError where settings contradict each other."""

    def settle(section: Any, **defaults: Any) -> Any:
        return replace(section, **{name: value for name, value in defaults.items() if getattr(section, name) == "auto"})

    row = network(config.model.name)
    model = settle(config.model, weights=row.default_weights)
    model = settle(model, freeze="none" if model.weights == "none" else row.default_freeze)
    flips = {"hflip": row.flip, "vflip": row.flip}
    data = settle(config.data, normalize=row.normalize, interpolation=row.interpolation, **flips)
    config = replace(config, data=replace(data, **row.sizes(data.resize, data.crop)), model=model)
    for wrong, message in (*contradictions(config), *augment_contradictions(config)):
        if wrong:
            raise ValueError(message)
    check_roots(config)
    return config


def contradictions(config: Config) -> list[tuple[bool, str]]:
    """List what can be wrong with a resolved configuration: whether it is, and the message with the way out."""
    data, model, train, warmup = config.data, config.model, config.train, config.optim.warmup_epochs
    head, decay = f"train.head_epochs={train.head_epochs}", config.optim.layer_decay
    row, weights, frozen, dropout = network(model.name), model.weights, model.freeze != "none", model.dropout
    others = [other.name for other in NETWORKS.values() if weights in other.weights and weights not in row.weights]
    resize, freeze = int(data.resize), f"model.freeze={model.freeze}"
    size = f"data.crop={data.crop}, data.resize={resize}"
    small = f"{size}: {row.name} needs {row.least_side} pixels; raise data.resize, or data.crop where it is not 0"
    fixed = f"{size}: {row.name} takes {row.fixed_side} pixels and no others; set data.crop to that"
    head_first, left = train.head_epochs > 0, train.epochs - train.head_epochs
    rates, no_body = (config.optim.backbone_factor, decay), model.freeze == "all"
    alone = no_body or left == 0
    slower = f"optim.backbone_factor={rates[0]}, optim.layer_decay={decay}"
    patience = f"train.patience={train.patience}"
    folder_alone = data.placement == "device" and data.source == "folder"
    no_board = config.track.tensorboard and find_spec("tensorboard") is None
    return [
        (data.normalize == "auto", f"data.normalize=auto: {row.name}'s own normalisation has no name here; choose one"),
        (int(data.crop) > resize, f"{size}: the crop is larger than the picture; lower it or raise data.resize"),
        (data.side < row.least_side, small),
        (row.fixed_side not in (None, data.side), fixed),
        (frozen and not row.stages, f"{freeze}: {row.name} has nothing to freeze; set it to none"),
        (frozen and model.freeze not in row.stages, f"{freeze}: {row.name} takes {' or '.join(('none', *row.stages))}"),
        (frozen and weights == "none", f"{freeze} would freeze random weights; set it to none, or name model.weights"),
        (bool(others), f"model.weights={weights} are for {' and '.join(others)}; set it to none"),
        (dropout is not None and not row.has_dropout, f"model.dropout={dropout}: {row.name} has none; leave it null"),
        (model.drop_path > 0 and not row.timm, f"model.drop_path={model.drop_path}: {row.name} has none; set it to 0"),
        (train.head_epochs > train.epochs, f"{head}: more than train.epochs={train.epochs}; lower it"),
        (head_first and weights == "none", f"{head} would freeze random weights; set it to 0, or name model.weights"),
        (head_first and no_body, f"{head}: {freeze} trains the head alone; set one to 0 or the other to none"),
        (alone and rates != (1, 1), f"{slower}: nothing but the head is trained; set both to 1"),
        (decay < 1 and len(row.stages) < 2, f"{slower}: {row.name} has no layers to count; set optim.layer_decay to 1"),
        (warmup > left, f"optim.warmup_epochs={warmup}: longer than the {left} epochs of the schedule; lower it"),
        (
            train.patience > 0 and train.max_steps is not None,
            f"{patience}: counts epochs, max_steps={train.max_steps} steps; unset one",
        ),
        (folder_alone, "data.placement=device: only packs can lie on a GPU; set data.source=pack, or placement=auto"),
        (no_board, "track.tensorboard=true: needs `pip install tensorboard`, or leave it false"),
    ]


def augment_contradictions(config: Config) -> list[tuple[bool, str]]:
    """List the same of augmentation."""
    augment, train = config.augment, config.train
    (smallest, largest), (shortest, widest) = augment.scale or (1, 1), augment.ratio
    return [
        (
            not 0 < smallest <= largest <= 1,
            f"augment.scale={augment.scale}: must be two shares of the area, 0 < low <= high <= 1",
        ),
        (
            augment.scale is None and augment.ratio != AugmentConfig().ratio,
            f"augment.ratio={augment.ratio}: of the crop of augment.scale, which is null; set that too",
        ),
        (not 0 < shortest <= widest, f"augment.ratio={augment.ratio}: must be two numbers, 0 < low <= high"),
        (
            augment.background > 0 and config.data.source == "folder",
            f"augment.background={augment.background}: masks are read beside packs; set data.source=pack",
        ),
        (
            augment.background_folder is not None and augment.background == 0,
            f"augment.background_folder={augment.background_folder}: no photo gets another background while "
            "augment.background is 0; set that too, or leave the folder null",
        ),
        (
            augment.mixes and train.batch_size == 1,
            "train.batch_size=1: no other photo to mix with; raise it, or set augment.mixup and augment.cutmix to 0",
        ),
        (
            augment.mix_off_epochs > train.epochs,
            f"augment.mix_off_epochs={augment.mix_off_epochs}: above the {train.epochs} of train.epochs; lower it",
        ),
        (
            augment.mix_off_epochs > 0 and not augment.mixes,
            f"augment.mix_off_epochs={augment.mix_off_epochs}: nothing is mixed; set augment.mixup or augment.cutmix",
        ),
    ]


def check_world(config: Config, world: int) -> None:
    """Raises ValueError where a process would never get a row."""
    if (rows := config.train.batch_size) < world:
        raise ValueError(f"train.batch_size={rows}: too few for {world} processes; raise it or start fewer of them")
