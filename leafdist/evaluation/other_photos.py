"""Photos that a run was not split from: other folders, other classes, matched by name."""

from dataclasses import replace
from pathlib import Path

from leafdist.config.extra_roots import extra_roots
from leafdist.config.schema import DataConfig
from leafdist.data.folds import fold_root
from leafdist.data.index import scan_facts
from leafdist.data.layouts import check_split, split_of
from leafdist.data.loader import Loader
from leafdist.data.open import has_split, loaders_of, locate, open_sources
from leafdist.data.pack import cache_folder
from leafdist.data.photos import folders_in, list_classes
from leafdist.data.quarantine import screen
from leafdist.data.relabel import obey_labels
from leafdist.data.their_classes import adopted
from leafdist.distributed.runtime import Runtime
from leafdist.runs.evaluations import read_evaluation
from leafdist.runs.facts import read_facts
from leafdist.runs.layout import FOUR_VIEWS, RunLayout
from leafdist.runs.load import LoadedRun
from leafdist.runs.results import Evaluation
from leafdist.system.errors import UnopenedPhotoError


def is_own(run: Path, data: DataConfig, runtime: Runtime) -> bool:
    """Whether `data.root` holds what the run was trained on, by the digest of its val photos."""
    trained_on, data = runtime.once(lambda: _trained_on(run, "val")), unpacked(data, runtime)
    if not has_split(data, "val", runtime):
        return False
    return bool(trained_on) and not trained_on.isdisjoint(runtime.once(lambda: _digests(data, runtime, "val")))


def is_extra(run: Path, data: DataConfig, runtime: Runtime) -> bool:
    """Whether `data.root` is a root of the run's `data.extra`, by the digest of the photos that it was trained on."""
    data = unpacked(data, runtime)
    if not has_split(data, "train", runtime):
        return False
    trained_on = runtime.once(lambda: _trained_on(run, "train@"))
    return bool(trained_on) and not trained_on.isdisjoint(runtime.once(lambda: _digests(data, runtime, "train")))


def unpacked(data: DataConfig, runtime: Runtime) -> DataConfig:
    """Return `data` with an archive replaced by what is in it, on this node's disk."""
    if not Path(data.root).is_file():
        return data
    return replace(data, root=str(locate(data, runtime, folds=False)[0]), stage=False)


def renamed_in(loaded: LoadedRun, runtime: Runtime) -> dict[str, str] | None:
    """Return what `data.classes` said of class names, for photos that are not those of the run's own root.

    A name that is also one of the run's is theirs in a root of `data.extra` alone.
    """
    run, trained, data = loaded.path, loaded.meta.config.data, loaded.config.data
    renamed = runtime.once(lambda: read_facts(run).class_map)
    if renamed is None:
        if trained.classes:
            runtime.say(
                f"warning: {RunLayout(run).facts} is missing, which has what data.classes={trained.classes} said: "
                "classes with other names than the run's are left out. Copy run.json from where it was trained"
            )
        return None
    crossed = [theirs for theirs, ours in renamed.items() if theirs in loaded.classes and theirs != ours]
    if not crossed or data.root in [root.path for root in extra_roots(trained)] or is_extra(run, data, runtime):
        return renamed
    names = ", ".join(crossed)
    runtime.say(f"{data.root} is no root of the training: its {names} is taken for the run's, against data.classes")
    return {theirs: ours for theirs, ours in renamed.items() if theirs not in crossed}


def _trained_on(run: Path, part: str) -> set[str]:
    """Digests in run.json of `val`, or of `train@` of all extra roots; none for a run of which only best/ is here."""
    parts = read_facts(run).data.items()
    return {found.digest for name, found in parts if name == part or (part[-1] == "@" and name.startswith(part))}


def _digests(data: DataConfig, runtime: Runtime, split: str) -> list[str]:
    """Digests of the photos of `split` in the folder `data.root`, without those that training would set aside.

    One is of the photos as they lie, the other as labels.tsv beside them says, which may be younger than the run. Empty
    where no run can have been trained on them.
    """
    root = fold_root(Path(data.root), data.fold)
    try:
        classes = list_classes(root / split) if split == "train" else None  # of another root perhaps a single one
        plain = scan_facts(root, split, classes)[0]
    except ValueError:  # classes and folders that would not do for training
        return []
    cache, digests = cache_folder(root, data.cache), list[str]()
    for obey in (lambda index: index, obey_labels):
        try:
            digests.append(screen(obey(plain), data, cache, runtime.cpus, runtime.say).digest)
        except UnopenedPhotoError:  # the disk failed: it says nothing of the photos
            raise
        except ValueError as error:
            runtime.say(f"skipped, to tell whether these are the photos of the run: {error}")
    return digests


def open_elsewhere(
    data: DataConfig, split: str, runtime: Runtime, classes: tuple[str, ...], renamed: dict[str, str] | None = None
) -> tuple[Loader, dict[str, int]]:
    """Open `data.root/split`, or `data.root` where class folders lie there, with labels into `classes`.

    renamed: their names to those of `classes`. Photos of other classes have the label UNKNOWN, and are counted by class
    beside the loader. Raises ValueError where no class matches.
    """
    if not has_split(data, split, runtime):
        root = Path(data.root).resolve()
        if any(split_of(path.name) for path in folders_in(root)):
            check_split(root, split)  # raises
        cache = str(cache_folder(root, data.cache))  # not beside the folder: its parent is not ours
        data, split = replace(data, root=str(root.parent), cache=cache, fold=None), root.name
    loader = loaders_of(data, open_sources(data, (split,), runtime, own_classes=True), runtime)[split]
    loader.source.index, unknown = adopted(loader.source.index, classes, renamed)
    if not (index := loader.source.index).known:
        bad = [photo.reason for photo in index.set_aside if photo.label >= 0]
        why = f"no photo that can be read. {bad[0]}" if bad else "no photo. Put photos there"
        raise ValueError(f"{index.folder}: the folders of the run's classes hold {why}")
    return loader, unknown


def name_of(run: Path, root: Path, judged: Evaluation, way: str = "") -> str:
    """Name the evaluation of other photos: `<split>@<folder>` of `root`, or `<split>@<parent>-<folder>` and so on
    where that name is taken: the same photos (by their digest) or the same path replace what was there.

    way: how they were judged, as `runs/layout.py` has it at the end of a name.
    """
    split = judged.split.removesuffix(way)
    parts = [part.replace("+", "-") for part in root.resolve().parts[1:]]
    for depth in range(1, len(parts) + 1):
        name = f"{split}@{'-'.join(parts[-depth:])}"
        there = [one for one in (name, name + FOUR_VIEWS) if RunLayout(run).evaluation(one).exists()]
        earlier = [read_evaluation(run, one) for one in there]
        if all(one.data == judged.data or one.root == judged.root for one in earlier):
            break
    return name + way
