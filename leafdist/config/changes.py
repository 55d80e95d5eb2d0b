"""What a resumed run may change of its settings. No slow import."""

import re

from leafdist.config.schema import KEYS, Config, flatten, to_dict

FREE = re.compile(  # what a resumed run may change
    r"(run|track)\..*|data\.(root|stage|cache|workers|source|placement|max_pixels)"
    r"|train\.(graph|log_every|save_every|save_minutes|timeout_minutes|accumulate|max_rows|evaluate_train|patience)"
)


def differences(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """Lines such as `optim.lr: 0.001 -> 0.002`: changes that a resumed run must not make, and those it may."""
    before, after = flatten(to_dict(old)), flatten(to_dict(new))
    lines = {name: f"{name}: {before[name]} -> {after[name]}" for name in KEYS if before[name] != after[name]}
    longer = new.train.epochs > old.train.epochs and new.optim.schedule != "cosine"  # a cosine is as long as training
    free = {name for name in lines if FREE.fullmatch(name) or (longer and name == "train.epochs")}
    return [lines[name] for name in lines if name not in free], [lines[name] for name in lines if name in free]
