"""`leafdist average`: the weights of several runs, or of one and its start, averaged into a run of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leafdist.average.soup import Tensors, start_of, weighted_mean
from leafdist.average.statistics_pass import recompute, trained_layers, trains_body
from leafdist.config.extra_roots import extra_roots
from leafdist.config.networks import network
from leafdist.config.schema import AugmentConfig
from leafdist.data.augment import Augment
from leafdist.data.photo_facts import DataFacts
from leafdist.data.roots import VAL, open_training
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.assess import check_root
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.evaluation.tables import write_predictions
from leafdist.runs.checkpoint import load_best, save_best, tensors_of
from leafdist.runs.facts import AverageFacts, CheckpointMeta, RunFacts, read_facts, write_facts
from leafdist.runs.folder import new_start, now
from leafdist.runs.layout import RunLayout
from leafdist.runs.load import load_run
from leafdist.runs.saved_config import write_config
from leafdist.system import console, files, locks
from leafdist.training.model import digest_of_start
from leafdist.training.selection import score_of


@dataclass(frozen=True)
class Averaged:
    """Weights before the statistics of BatchNorm are computed, what they are of, and a line for the user."""

    tensors: Tensors
    facts: AverageFacts
    text: str


def average(runs: Sequence[Path], out: Path, share: float | None, runtime: Runtime) -> None:
    """Average `runs`, or with `share` one run and what it started from; write and validate the run folder `out`.

    Raises ValueError where runs do not fit each other, or where there is something at `out`.
    """
    check_asked(runs, out, share)
    if runtime.world > 1:
        raise ValueError(f"leafdist average is one process, not {runtime.world}: start it without a launcher")
    metas = [load_best(run)[1] for run in runs]
    check_alike(runs, metas)
    check_root(runs[0], "Average in that folder")
    loaded = load_run(runs[0], runtime.device)
    config, classes = loaded.config, loaded.classes
    # weights are of the loss, which may differ; photos are as evaluation sees them: no masks are needed
    plain = replace(config, optim=replace(config.optim, class_weights="none"), augment=AugmentConfig())
    if any(Path(root.path).is_file() for root in extra_roots(config.data)):
        plain = replace(plain, data=replace(config.data, stage=True))
    loaders, photos = open_training(plain, runtime, classes, read_facts(runs[0]).class_map)
    check_photos(runs, photos)
    mixed = soup(runs, metas) if share is None else with_start(runs[0], metas[0], share, runtime)
    loaded.model.load_state_dict(mixed.tensors)
    layers = trained_layers([meta.config for meta in metas], classes, runtime)
    used = recompute(loaded.model, layers, loaders["train"], config, runtime)
    if used:
        console.say(f"statistics of {console.counted(len(layers), 'BatchNorm layer')} from {used:,} training photos")
    augment = Augment.from_config(config.data).for_evaluation()
    judging = Judging(config.train.precision, config.crop_seed)
    vals = {name: one for name, one in loaders.items() if name != "train"}
    judged = {name: evaluate(loaded.model, one, augment, runtime, judging).known for name, one in vals.items()}
    found, roots = judged["val"], {name: one for name, one in judged.items() if name.startswith(VAL)}
    saved = replace(metas[0].config, run=replace(config.run, folder=str(out.parent), name=out.name))
    epoch = max(meta.epoch for meta in metas)
    score = score_of(config.train.select, found, classes, roots)
    meta = replace(
        metas[0], epoch=epoch, val_accuracy=found.accuracy, val_loss=found.mean_loss, val_score=score, config=saved
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = out.with_name(f".{out.name}.lock")
    with locks.alone(lock, console.say):
        check_asked(runs, out, share)  # another process may have made it by now
        with files.atomic_folder(out) as folder:
            index = loaders["val"].source.index
            write_config(folder, saved)
            save_best(RunLayout(folder).best, tensors_of(loaded.model), meta)
            write_predictions(RunLayout(folder).best_predictions, index.every_name, index.classes, found)
            facts = facts_of(photos, meta, replace(mixed.facts, batchnorm_photos=used), runtime)
            write_facts(folder, replace(facts, weights_sha256=read_facts(runs[0]).weights_sha256))
        lock.unlink(missing_ok=True)  # whoever waits for it finds `out`
    console.say(f"{mixed.text}; val accuracy {found.accuracy:.4f}")
    console.say(f"wrote {out}. Next: {console.command('python', 'evaluate.py', out)}")


def check_asked(runs: Sequence[Path], out: Path, share: float | None) -> None:
    """Raises ValueError for what the command line alone shows to be wrong."""
    if out.exists():
        raise ValueError(f"{out} exists: name a new folder with --out, or remove it")
    if share is None and len(runs) < 2:
        raise ValueError(f"only {runs[0]} given: name two runs or more, or --with-start SHARE for one and its start")
    if share is not None and len(runs) > 1:
        raise ValueError(f"--with-start {share} is for one run, {len(runs)} given: average them first, or name one")
    if share is not None and not 0 <= share <= 1:
        raise ValueError(f"--with-start {share}: the share of the run must be from 0 to 1, such as 0.5")


def check_alike(runs: Sequence[Path], metas: Sequence[CheckpointMeta]) -> None:
    """Raises ValueError where networks, frozen layers, classes or what they are shown differ: their mean would be no
    network. And for a run that still trains, whose best checkpoint may change meanwhile.
    """
    facts = [read_facts(run) for run in runs]
    for run, meta, known in zip(runs, metas, facts, strict=True):
        if known.state == "running":
            way = "Wait for its end; if it was killed, the same train.py goes on with it"
            raise ValueError(f"{run} is still training: its best checkpoint may be another one soon. {way}")
        found = list(differences(metas[0], meta))
        if any(map(has_frozen, (metas[0], meta))) and len({facts[0].weights_sha256, known.weights_sha256, None}) > 2:
            names = f"{metas[0].config.model.weights} and {meta.config.model.weights}"
            found.append(f"frozen layers began from different files of weights ({names}, by their SHA-256)")
        if found:
            raise ValueError(
                f"{runs[0]} and {run} cannot be averaged: {'; '.join(found)}. Name runs of one network, one start, one "
                "list of classes and one preprocessing"
            )


def has_frozen(meta: CheckpointMeta) -> bool:
    """Whether the training left any layer as it began."""
    return meta.config.model.freeze != "none" or not trains_body(meta.config)


def differences(first: CheckpointMeta, other: CheckpointMeta) -> Iterator[str]:
    """Say what keeps the weights of `other` from being added to those of `first`."""
    names = first.config.model.name, other.config.model.name
    if names[0] != names[1]:
        yield f"model.name is {names[0]} and {names[1]}"
    yield from DataFacts(first.classes, {}).changes(DataFacts(other.classes, {}))
    shown = vars(other.preprocessing)
    for key, value in vars(first.preprocessing).items():
        if value != shown[key]:
            yield f"data.{key} is {value} and {shown[key]}"


def check_photos(runs: Sequence[Path], found: DataFacts) -> None:
    """Raises ValueError where a run was trained or validated on other photos: val would not be new to the average."""
    for run in runs:
        known = read_facts(run)
        if known.data and (
            differs := list(DataFacts(known.classes, known.data, class_map=known.class_map).changes(found))
        ):
            raise ValueError(
                f"{run} was trained on other photos than lie there now or than {runs[0]} was ({'; '.join(differs)}): "
                "what one run validates on, another may have trained on. Average runs of one split, such as seeds"
            )


def soup(runs: Sequence[Path], metas: Sequence[CheckpointMeta]) -> Averaged:
    """Average the best checkpoints of several runs, each counting the same."""
    tensors = weighted_mean((load_best(run)[0] for run in runs), [1.0] * len(runs))
    return Averaged(tensors, origin(runs, metas), f"average of {len(runs)} runs")


def with_start(run: Path, meta: CheckpointMeta, share: float, runtime: Runtime) -> Averaged:
    """Average a run and what it started from."""
    own, weights = load_best(run)[0], meta.config.model.weights
    try:
        check_start(run, meta)
        start, known = start_of(meta.config, meta.classes, own, runtime)
    except ValueError as error:
        began = [one.folder for one in read_facts(run).starts if one.folder]
        if weights in ("none", *network(meta.config.model.name).weights) or Path(weights).exists() or not began:
            raise
        raise ValueError(f"{error}. {run} was started in {began[0]}, where a relative path begins") from error
    text = f"{share:g} of {run} and {1 - share:g} of {weights}, {'head too' if known else 'but for the head'}"
    facts = replace(origin([run], [meta]), start=weights, share=share)
    return Averaged(weighted_mean([own, start], [share, 1 - share]), facts, text)


def check_start(run: Path, meta: CheckpointMeta) -> None:
    """Raises ValueError where the file of weights that `run` began from is another one by now."""
    begun, found = read_facts(run).weights_sha256, digest_of_start(meta.config)
    if begun and found != begun:
        raise ValueError(
            f"model.weights={meta.config.model.weights} is not the file that {run} began from: SHA-256 {found}, it was "
            f"{begun}. Bring that file back, or average several runs"
        )


def origin(runs: Sequence[Path], metas: Sequence[CheckpointMeta]) -> AverageFacts:
    """Return what run.json says of the runs that were averaged."""
    return AverageFacts([str(run) for run in runs], [one.sha256 for one in metas], [one.val_accuracy for one in metas])


def facts_of(photos: DataFacts, meta: CheckpointMeta, facts: AverageFacts, runtime: Runtime) -> RunFacts:
    """Return run.json of the new run: finished, without a step of training."""
    return RunFacts(
        state="finished",
        starts=[new_start(runtime.world, str(runtime.device), 0)],
        classes=photos.classes,
        data=photos.data,
        passed_over=photos.passed_over,
        class_map=photos.class_map,
        average=facts,
        best_epoch=meta.epoch,
        best_val_accuracy=meta.val_accuracy,
        best_val_loss=meta.val_loss,
        best_val_score=meta.val_score,
        ended=now(),
    )
