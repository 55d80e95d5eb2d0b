"""The layers of the design: a module imports only from lines above its own."""

import ast
from pathlib import Path

LAYERS = [
    "settings intervals console status batchnorm",
    "config files signals scores",
    "cli locks sentinel writer children terminal calibration",
    "data.images data.names data.decode requeue",
    "data.groups data.features data.partition data.transfer data.unfinished data.folds",
    "data.near",
    "data.grouping",
    "data.split data.leaf data.shuffle data.index data.walk",
    "tracking.events tracking.probe tracking.findings tracking.aside",
    "tracking.wandb_client tracking.tensorboard",
    "tracking.showcase",
    "tracking.weights_biases",
    "tracking sync",
    "data.sample data.plan data.kept_index data.quarantine",
    "data.source data.augment",
    "data.pack data.loader fetch.archive fetch.download",
    "fetch.unpack",
    "fetch stage",
    "models.dropout models.small_maps",
    "models.baseline models.resnet models.weights",
    "models",
    "cam",
    "runtime optim checkpoint progress",
    "metrics run job",
    "evaluation setup sources state records answers",
    "step elsewhere runlist",
    "tracking.evaluation",
    "assessment headline",
    "predict",
    "trainer",
    "comparison.paired",
    "comparison.answers",
    "comparison.pair",
    "comparison",
    "comparison.text",
    "report.html report.axis",
    "report.words report.lines report.facts",
    "report.pictures report.curves report.headline report.classes report.calibration report.card",
    "report.cams report.matrix report.conditions",
    "report.gallery",
    "report.page",
    "report.pair",
    "report",
    "bench.timing",
    "bench.network bench.data bench.programs bench.report",
    "bench",
    "audit.finding audit.listing",
    "audit.classes audit.files audit.duplicates",
    "audit.leakage audit.shortcuts",
    "audit.report audit.verdict",
    "audit.page audit",
    "doctor.finding doctor.place doctor.reducing",
    "doctor.packages doctor.device doctor.cores doctor.folders doctor.services doctor.slurm",
    "doctor.meeting doctor.report",
    "doctor.collective doctor.loading doctor.shared",
    "doctor",
    "commands.raw commands.ready commands.measure commands.examine commands.report commands.runs commands.upload",
    "commands.compare commands.completion",
    "export.network",
    "export.subject",
    "export.onnx_file export.tensors export.compare export.photos export.example",
    "export.card",
    "export",
    "commands.predict commands.export",
    "__main__ train evaluate",
]
FENCES = {
    "accelerate": {"runtime"},
    "onnx": {"export.onnx_file"},
    "onnxruntime": {"export.onnx_file"},
    "wandb": {"tracking.wandb_client"},
    "torch.utils.tensorboard": {"tracking.tensorboard"},
}
ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / "leafdist").rglob("*.py"), ROOT / "train.py", ROOT / "evaluate.py"]


def module_name(path: Path) -> str:
    relative = path.relative_to(ROOT / "leafdist" if "leafdist" in path.relative_to(ROOT).parts else ROOT)
    return ".".join(relative.with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Full names of imported modules, inside functions too; a module taken from a package counts as itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = ROOT / node.module.replace(".", "/")
            parts = {alias.name for alias in node.names if (folder / f"{alias.name}.py").exists()}
            found |= {f"{node.module}.{part}" for part in parts}
            found |= {node.module} if len(parts) < len(node.names) else set()
    return found


def test_modules_import_only_from_layers_below() -> None:
    level = {name: number for number, line in enumerate(LAYERS) for name in line.split()}
    modules = {module_name(path): imports(path) for path in SOURCES}
    assert set(modules) - {"__init__", "data", "commands"} == set(level)
    wrong = [
        f"{name} imports {target}"
        for name, targets in modules.items()
        for target in (full.removeprefix("leafdist.") for full in targets if full.startswith("leafdist."))
        if level[target] >= level[name]
    ]
    assert wrong == []


def test_packages_stay_behind_their_fences() -> None:
    for package, allowed in FENCES.items():
        users = {
            module_name(path) for path in SOURCES if any(f"{name}.".startswith(f"{package}.") for name in imports(path))
        }
        assert users == allowed
