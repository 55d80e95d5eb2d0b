"""ONNX: traced by torch.export, checked and quantised by onnxruntime. The one place that knows of both."""

import json
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from leafdist.export.subject import Scores, Subject
from leafdist.runs.facts import Preprocessing
from leafdist.system.plain import to_plain

if TYPE_CHECKING:
    from onnx import ModelProto

NEEDED = ("onnx", "onnxscript", "onnxruntime")  # the extra `export`
INPUT, OUTPUT = "images", "scores"
BATCH = torch.export.Dim("batch")
CALIBRATED_AT_ONCE = 8  # all maps of so many photos are in memory together: 0.4 GB at 224 pixels
QUANTISED = ["Conv", "Gemm"]  # where the time is; sums and pooling too cost a ResNet 1.6 points more
Answer = Callable[[NDArray[Any]], Scores]


def check_installed() -> None:
    """Raises ValueError, with the way out, where a package of the extra is missing."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ValueError(
            f"ONNX needs {', '.join(missing)}: pip install 'leafdist[export]', or leave it out with --formats "
            "pt2,safetensors"
        )


def trace(subject: Subject, *, half: bool = False) -> "ModelProto":
    """The graph for any number of photos."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # PyTorch's own use of itself
        warnings.filterwarnings("ignore", category=FutureWarning)
        program = torch.onnx.export(
            subject.network(half=half),
            (subject.inputs(subject.blank()),),
            dynamo=True,
            dynamic_shapes=({0: BATCH},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def describe(graph: "ModelProto", subject: Subject) -> None:
    """What a reader of the file alone must know."""
    import onnx  # noqa: PLC0415 - an extra

    facts = {
        "classes": list(subject.classes),
        "preprocessing": {**to_plain(Preprocessing.from_config(subject.config.data)), "inside": subject.inside},
        "temperature": subject.temperature,
        "checkpoint": subject.meta["sha256"],
    }
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in facts.items()})


def save(graph: "ModelProto", path: Path) -> None:
    import onnx  # noqa: PLC0415 - an extra

    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())


def answers_of(path: Path, threads: int) -> Answer:
    """The network of a file, by onnxruntime on the CPU."""
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def quantise(graph: "ModelProto", path: Path, inputs: NDArray[Any]) -> None:
    """Weights a channel and activations a tensor to 8 bits, their ranges from `inputs`; written to `path`."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with TemporaryDirectory(dir=path.parent, prefix=".quantise.") as folder:
        whole, ready = Path(folder, "whole.onnx"), Path(folder, "ready.onnx")
        save(graph, whole)
        quant_pre_process(whole, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            path,
            _Reader(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


class _Reader:
    """What onnxruntime asks for calibration data: a batch a call, then None."""

    def __init__(self, inputs: NDArray[Any]) -> None:
        starts = range(0, len(inputs), CALIBRATED_AT_ONCE)
        self.batches: Iterator[NDArray[Any]] = iter(inputs[start : start + CALIBRATED_AT_ONCE] for start in starts)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch}
