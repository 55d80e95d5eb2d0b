"""LiteRT: a TFLite file for phones. The only module that imports litert-torch or LiteRT's interpreter."""

import json
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leafdist.export.onnx_file import INPUT, MARKS, OUTPUT
from leafdist.export.subject import Scores, Subject
from leafdist.system.console import command

NEEDED = ("litert_torch", "ai_edge_litert")
FACTS = "leafdist.json"


def check_installed() -> None:
    """Raises ValueError, with the way out, if litert-torch is missing."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        way = command("pip", "install", "litert-torch")
        raise ValueError(f"LiteRT needs {', '.join(missing)}: {way}, in an environment of its own (docs/export.md)")


class Named(nn.Module):
    """A network whose outputs have names: images -> {"scores": (B,classes), ...}."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.answering = graph  # not `graph`: torch.export has that name for its own

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network."""
        found = self.answering(images)
        return dict(zip((OUTPUT, *MARKS), found if isinstance(found, tuple) else (found,), strict=False))


def save(subject: Subject, path: Path) -> None:
    """Write a file for one photo at a time; what a reader of it must know is appended as a zip, as TFLite does it."""
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    import litert_torch  # noqa: PLC0415 - installed by whoever wants it

    network, inputs = Named(subject.graph()).eval(), subject.inputs(subject.blank()[:1])
    with torch.no_grad():
        network(inputs)  # what the network keeps for later photos would else be the trace's own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter, about its own code
        litert_torch.convert(network, sample_kwargs={INPUT: inputs}).export(str(path))
    with ZipFile(path, "a") as attached:
        attached.writestr(ZipInfo(FACTS), json.dumps(subject.facts))


def answers_of(file: bytes, threads: int, *, marks: bool = False) -> Callable[[NDArray[Any]], Scores]:
    """Open a file with LiteRT on the CPU; return what maps its inputs to scores, or to its marks (B,2)."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - installed by whoever wants it

    run = Interpreter(model_content=file, num_threads=threads).get_signature_runner()

    def answer(images: NDArray[Any]) -> Scores:
        found = [run(**{INPUT: images[row : row + 1]}) for row in range(len(images))]
        if marks:
            return np.array([[one[name][0] for name in MARKS] for one in found])
        return np.concatenate([one[OUTPUT] for one in found])

    return answer
