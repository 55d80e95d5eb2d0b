"""The model card: README.md in Hugging Face's form (https://huggingface.co/docs/hub/model-cards).

Says what the run has recorded and nothing else; its text is in templates/.
"""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from leafdist.config.networks import MEANS
from leafdist.export.agreement import Exported
from leafdist.export.subject import Subject
from leafdist.runs.results import Evaluation
from leafdist.system import console, files

CARD, LABELS, LIBRARY = "README.md", "labels.json", "leafdist"


def card(subject: Subject, exports: Sequence[Exported], origin: str) -> str:
    """Return the card; `origin` says which photos `exports` were compared on."""
    data, found = subject.config.data, subject.evaluation
    root = Path(data.root).name or "data"
    environment = Environment(
        loader=PackageLoader("leafdist.export"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.2f} %"
    environment.filters["cell"] = lambda name: console.visible(name).replace("|", "&#124;")
    text = environment.get_template("README.md.j2").render(
        subject=subject,
        data=data,
        found=found,
        exports=exports,
        origin=origin,
        metrics=metrics(found) if found else [],
        apart=found.leaf_disjoint if found else "unknown",
        graph=next((made.name for made in exports if made.name.endswith((".onnx", ".pt2", ".tflite"))), None),
        labels=LABELS,
        start=round((int(data.resize) - data.side) / 2),
        moments=[list(values) for values in MEANS.get(data.normalize, ())],
        root=root,
    )
    return f"---\n{front_matter(subject, root, exports)}\n---\n\n{text}"


def is_export(folder: Path) -> bool:
    """Tell whether the folder's README.md is one of these cards."""
    path = folder / CARD
    return path.exists() and f"library_name: {LIBRARY}" in path.read_text(**files.TEXT)


def metrics(found: Evaluation) -> list[tuple[str, str, float]]:
    """List type in Hugging Face's list, name and value of what an evaluation measured."""
    return [
        ("accuracy", "Accuracy", found.accuracy),
        ("f1", "Macro F1", found.macro_f1),
        ("balanced_accuracy", "Balanced accuracy", found.balanced_accuracy),
        ("top_3_accuracy", "Top-3 accuracy", found.top3_accuracy),
    ]


def front_matter(subject: Subject, root: str, exports: Sequence[Exported]) -> str:
    """Return the YAML that the Hugging Face hub reads."""
    from huggingface_hub import EvalResult, ModelCardData  # noqa: PLC0415 - slow

    formats = sorted({Path(made.name).suffix[1:] for made in exports})
    results = [
        EvalResult(
            task_type="image-classification",
            task_name="Image Classification",
            dataset_type="imagefolder",
            dataset_name=root,
            dataset_split="test",
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 6),
        )
        for kind, name, value in (metrics(subject.evaluation) if subject.evaluation else [])
    ]
    return ModelCardData(
        library_name=LIBRARY,
        pipeline_tag="image-classification",
        tags=["image-classification", "plant-disease", subject.network.name, *formats],
        metrics=["accuracy", "f1"],
        model_name=subject.record.name if results else None,
        eval_results=results or None,
    ).to_yaml()
