"""The model card: README.md in Hugging Face's form, filled from what the run has recorded and nothing else.

https://huggingface.co/docs/hub/model-cards
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from leafdist.export.agreement import Exported
from leafdist.export.example import example
from leafdist.export.subject import Subject
from leafdist.system import files

CARD, LABELS, LIBRARY = "README.md", "labels.txt", "leafdist"
KINDS = {"resnet50": "ResNet-50 (torchvision's form)", "baseline": "small CNN of three convolutions"}
METRICS = {  # of eval-<split>.json: type in Hugging Face's list, name
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro F1"),
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "top3_accuracy": ("top_3_accuracy", "Top-3 accuracy"),
}

STATE_DICT = """from safetensors.torch import load_file
from torchvision.models import resnet50

network = resnet50(num_classes={classes}).eval()
network.load_state_dict(load_file("model.safetensors"))
"""


def card(subject: Subject, exports: Sequence[Exported], kind: str) -> str:
    """YAML for machines, then text for people. `kind`: the photos that `exports` were compared on."""
    sections = [
        introduction(subject),
        results(subject),
        how_to_use(subject, exports),
        file_table(exports, kind),
        data(subject),
        training(subject),
        limits(subject),
        class_table(subject),
    ]
    return f"---\n{front_matter(subject, exports)}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def is_export(folder: Path) -> bool:
    """Whether its card is one of these."""
    path = folder / CARD
    return path.exists() and f"library_name: {LIBRARY}" in path.read_text(**files.TEXT)


def evaluation(subject: Subject) -> dict[str, Any] | None:
    """Of the run's own test split by this very checkpoint, one view a photo, as the files have it."""
    found, sha = subject.record.evaluations.get("test"), subject.meta["sha256"]
    same = found and found.get("checkpoint", sha) == sha and not found.get("tta")
    return found if same else None


def front_matter(subject: Subject, exports: Sequence[Exported]) -> str:
    """YAML as the Hugging Face hub reads it."""
    formats = sorted({Path(made.name).suffix[1:] for made in exports})
    values: dict[str, Any] = {
        "library_name": LIBRARY,
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "plant-disease", subject.config.model.name, *formats],
        "metrics": ["accuracy", "f1"],
    }
    if found := evaluation(subject):
        metrics = [
            {"type": kind, "name": name, "value": round(found[key], 6)}
            for key, (kind, name) in METRICS.items()
            if key in found
        ]
        place = {"name": data_name(subject), "type": "imagefolder", "split": "test"}
        task = {"type": "image-classification", "name": "Image Classification"}
        result = {"task": task, "dataset": place, "metrics": metrics}
        values["model-index"] = [{"name": subject.record.name, "results": [result]}]
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def data_name(subject: Subject) -> str:
    return Path(subject.config.data.root).name or "data"


def introduction(subject: Subject) -> str:
    """What it is, what it was trained on, and how a photo becomes its input."""
    settings = subject.config.data
    inside = "inside the files, which take uint8 pixels" if subject.inside else "left to the caller"
    return (
        f"# {subject.record.name}\n\n"
        f"A {KINDS[subject.config.model.name]} that tells {len(subject.classes)} classes of leaves (crop and disease) "
        f"apart, trained with leafdist; the checkpoint of epoch {subject.meta['epoch'] + 1}, the best of "
        f"validation ({percent(subject.meta['val_accuracy'])}).\n\n"
        f"A photo is turned as its EXIF says, made RGB and {fit_text(settings.fit)} to {settings.resize} x "
        f"{settings.resize} pixels by Pillow, bilinear with antialias. Then (crop {settings.crop or 'none'}, scale to "
        f"0..1, normalise {settings.normalize}): {inside}."
    )


def fit_text(fit: str) -> str:
    return "stretched" if fit == "stretch" else "cut to its middle square and resized"


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def results(subject: Subject) -> str:
    """The evaluation as a table, with intervals; the command for it where there is none."""
    found = evaluation(subject)
    if not found:
        return "## Results\n\nNot evaluated: `python evaluate.py` measures it, and another export puts it here."
    rows = [f"| {name} | {percent(found[key])} |" for key, (_, name) in METRICS.items() if key in found]
    for key, name in (
        ("interval", "95 % interval (Wilson)"),
        ("interval_by_leaf", "95 % interval, whole leaves drawn"),
    ):
        if key in found:
            low, high = found[key]
            rows.insert(1, f"| {name} | {percent(low)} to {percent(high)} |")
    if calibration := found.get("calibration"):
        error = calibration.get("ece_calibrated", calibration["ece"])
        rows.append(f"| Expected calibration error | {error:.4f} |")
    lines = [f"## Results\n\nOn the {found['images']} photos of the test split:\n\n| | |\n| --- | --- |", *rows]
    return "\n".join([*lines, *(f"\n{note}" for note in measured_otherwise(subject))])


def measured_otherwise(subject: Subject) -> list[str]:
    """Where the evaluation is not quite that of the files."""
    settings, precision = subject.config.data, subject.config.train.precision
    crop = "Measured with crops at random places, as the run's settings have it; the files take the middle."
    return [crop] * (settings.eval_crop == "random" and bool(settings.crop)) + [
        f"Measured in {precision}; the files are in fp32 where the table below does not say otherwise."
    ] * (precision != "no")


def how_to_use(subject: Subject, exports: Sequence[Exported]) -> str:
    """Programs that load the files written."""
    parts = ["## How to use"]
    graphs = [made.name for made in exports if made.name.endswith(".onnx")]
    if graphs:
        parts.append(f"```python\n{example(subject, graphs[0], LABELS)}\n```")
    if subject.config.model.name == "resnet50" and any(made.name == "model.safetensors" for made in exports):
        loading = STATE_DICT.format(classes=len(subject.classes))
        parts.append(f"The state dict is that of torchvision's own network:\n\n```python\n{loading}```")
    if subject.temperature is None:
        parts.append("Its probabilities are not calibrated.")
    else:
        parts.append(f"Scores are divided by {subject.temperature:.4f}, fitted on val, before the softmax.")
    return "\n\n".join(parts)


def file_table(exports: Sequence[Exported], kind: str) -> str:
    """A row a file: size, agreement with PyTorch, accuracy, checksum."""
    rows = [
        f"| {made.name} | {made.precision} | {made.size / 1e6:.1f} MB | {made.agreement.same} of "
        f"{made.agreement.photos} | {made.agreement.largest:.2g} | "
        f"{f'{percent(made.judged.accuracy)} ({change(made)})' if made.judged else ''} | `{made.sha256[:16]}` |"
        for made in exports
    ]
    return "\n".join([
        f"## Files\n\nEach was compared with PyTorch in fp32 on {exports[0].agreement.photos if exports else 0} photos "
        f"({kind}); accuracy is that of the whole test split.\n",
        "| file | precision | size | same first answer | largest difference of a score | accuracy | sha256 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ])  # fmt: skip


def change(made: Exported) -> str:
    assert made.judged
    return f"{100 * (made.judged.accuracy - made.judged.before):+.2f} points against fp32"


def data(subject: Subject) -> str:
    splits = subject.record.run.get("data", {})
    lines = [f"- {name}: {facts['photos']} photos, digest `{facts['digest'][:16]}`" for name, facts in splits.items()]
    found = evaluation(subject)
    if found:
        lines.append(f"- test: {found['images']} photos, digest `{found['data'][:16]}`")
        lines.append(f"- leaves apart from those of training: {found.get('leaf_disjoint', 'unknown')}")
    return "\n".join([f"## Data\n\nFolder `{data_name(subject)}`, a folder a class:\n", *lines])


def training(subject: Subject) -> str:
    """How the run was made, from its own records."""
    config, starts = subject.config, subject.record.starts
    lines = [
        f"- start: {config.model.weights if config.model.weights != 'none' else 'random weights'}, frozen: "
        f"{config.model.freeze}",
        f"- {config.train.epochs} epochs of batch {config.train.batch_size}, {config.optim.name}, learning rate "
        f"{config.optim.lr:g} ({config.optim.schedule}), precision {config.train.precision}, seed {config.seed}",
    ]
    if starts:
        last = starts[-1]
        versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
        lines += [f"- {last['world_size']} process(es) on {last['device']}; {versions}"]
        lines += [f"- code: commit `{last['git_commit']}`"] if last.get("git_commit") else []
    return "\n".join(["## Training\n", *lines, f"- checkpoint: sha256 `{subject.meta['sha256']}`"])


def limits(subject: Subject) -> str:
    """What the figures do not promise."""
    found = evaluation(subject)
    apart = str((found or {}).get("leaf_disjoint", "unknown"))
    lines = [
        "- The figures hold for photos like those it was trained on: same cameras, backgrounds, places. For others, "
        "`python evaluate.py RUN --data FOLDER` measures.",
        f"- It answers with one of its {len(subject.classes)} classes whatever it is shown, a disease or a plant it "
        "does not know included.",
        f"- It sees {subject.config.data.crop or subject.config.data.resize} pixels a side: what is smaller is lost.",
    ]
    if not apart.startswith("yes") and not apart.startswith("by"):
        lines.append("- Photos of one leaf may be in train and test both: then the figures are too good.")
    return "\n".join(["## Limits\n", *lines])


def class_table(subject: Subject) -> str:
    """Each class with its own figures; the bare list where it was not evaluated."""
    found = evaluation(subject)
    if not found:
        return "## Classes\n\n" + "\n".join(f"- {name}" for name in subject.classes)
    keys = [key for key in ("precision", "recall", "f1") if all(key in row for row in found["classes"].values())]
    keys = keys or ["accuracy"]
    rows = [
        f"| {name.replace('|', '&#124;')} | {row['images']} | {' | '.join(f'{row[key]:.3f}' for key in keys)} |"
        for name, row in found["classes"].items()
    ]
    head = f"| class | test photos | {' | '.join(keys)} |"
    return "\n".join(["## Classes\n", head, "| --- " * (2 + len(keys)) + "|", *rows])
