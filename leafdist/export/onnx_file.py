"""ONNX: traced by torch.export, checked and quantised by onnxruntime. The only module that imports either."""

import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from leafdist.export.subject import Scores, Subject
from leafdist.system.arguments import extra

if TYPE_CHECKING:
    from onnx import ModelProto

NEEDED = ("onnx", "onnxscript", "onnxruntime")  # the extra `export`
INPUT, OUTPUT, MARKS = "images", "scores", ("confidence", "distance")
BATCH = torch.export.Dim("batch")
CALIBRATED_AT_ONCE = 8  # photos whose maps are in memory together: 0.4 GB at 224 pixels
QUANTISED = ["Conv", "Gemm"]  # where the time is; sums and pooling too cost a ResNet 1.6 points more


def check_installed() -> None:
    """Raises ValueError, with the way out, if a package of the extra is missing."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ValueError(
            f"ONNX needs {', '.join(missing)}: {extra('export')}, or leave it out with --formats pt2,safetensors"
        )


def trace(subject: Subject, *, half: bool = False) -> "ModelProto":
    """Return the graph for any number of photos, with what a reader of the file alone must know in its metadata."""
    import onnx  # noqa: PLC0415 - an extra

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # PyTorch's exporter warns of its own code
        warnings.filterwarnings("ignore", category=FutureWarning)
        program = torch.onnx.export(
            subject.graph(half=half),
            (subject.inputs(subject.blank()),),
            dynamo=True,
            dynamic_shapes=({0: BATCH},),
            input_names=[INPUT],
            output_names=[OUTPUT, *(MARKS if subject.refusing else ())],
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in subject.facts.items()})
    return graph


def content(graph: "ModelProto") -> bytes:
    """Check the graph and return it as a file has it."""
    import onnx  # noqa: PLC0415 - an extra

    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def answers_of(file: bytes, threads: int, *, marks: bool = False) -> Callable[[NDArray[Any]], Scores]:
    """Open a file with onnxruntime on the CPU; return what maps its inputs to scores, or to its marks (B,2)."""
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    if marks:
        return lambda images: np.stack(session.run(list(MARKS), {INPUT: images}), 1)
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def quantise(graph: "ModelProto", path: Path, inputs: NDArray[Any]) -> None:
    """Write the graph in 8 bits: weights with a scale per channel, activations per tensor with ranges from `inputs`."""
    from onnxruntime import quantization  # noqa: PLC0415 - an extra
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with TemporaryDirectory(dir=path.parent, prefix=".quantise.") as folder:
        original, prepared = Path(folder, "original.onnx"), Path(folder, "prepared.onnx")
        original.write_bytes(content(graph))
        quant_pre_process(original, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            path,
            _Reader(inputs),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )


class _Reader:
    """Calibration data as onnxruntime asks for it: a batch per call, then None."""

    def __init__(self, inputs: NDArray[Any]) -> None:
        starts = range(0, len(inputs), CALIBRATED_AT_ONCE)
        self.batches = iter([{INPUT: inputs[start : start + CALIBRATED_AT_ONCE]} for start in starts])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self.batches, None)
