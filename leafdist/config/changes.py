"""What a resumed run may change of its settings. No slow import."""

import re

from leafdist.config.extra_roots import extra_roots
from leafdist.config.schema import KEYS, Config, flatten, to_dict

FREE = re.compile(  # what a resumed run may change
    r"(run|track)\..*|data\.(root|stage|cache|workers|source|placement|max_pixels|classes)"
    r"|train\.(graph|log_every|save_every|save_minutes|timeout_minutes|accumulate|max_rows|evaluate_train|patience)"
)


def extendable(config: Config) -> bool:
    """Whether a finished run may go on with a higher train.epochs: nothing that it did counts epochs from the end."""
    return config.optim.schedule != "cosine" and not config.augment.mix_off_epochs


def free(name: str, old: Config, new: Config) -> bool:
    """Whether a resumed run may change the setting `name` as `new` does."""
    if name == "train.epochs":
        return new.train.epochs > old.train.epochs and extendable(new)
    if name == "optim.class_weights":  # between two files: the run is bound to the weights in them
        return not {old.optim.class_weights, new.optim.class_weights} & {"none", "balanced", "sqrt"}
    if name == "data.extra":  # the run is bound to the photos there, and by data.classes to what they are called
        before, after = ([(root.name, root.share) for root in extra_roots(one.data)] for one in (old, new))
        return before == after
    if name == "augment.background_folder":  # the run is bound to the photos there
        return None not in (old.augment.background_folder, new.augment.background_folder)
    return FREE.fullmatch(name) is not None


def differences(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """Lines such as `optim.lr: 0.001 -> 0.002`: changes that a resumed run must not make, and those it may."""
    before, after = flatten(to_dict(old)), flatten(to_dict(new))
    lines = {name: f"{name}: {before[name]} -> {after[name]}" for name in KEYS if before[name] != after[name]}
    fixed, freed = ([line for name, line in lines.items() if free(name, old, new) is may] for may in (False, True))
    return fixed, freed
