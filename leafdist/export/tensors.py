"""PyTorch's own forms: a torch.export program, and a state dict in safetensors."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import resnet50

from leafdist.export.portable import plain
from leafdist.export.subject import Pixels, Scores, Subject
from leafdist.models.build import build_model
from leafdist.runs.checkpoint import tensors_of


def save_program(subject: Subject, path: Path) -> None:
    """torch.export, for any number of photos; needs no leafdist to load."""
    example = subject.inputs(subject.blank())
    shapes = {"images": {0: torch.export.Dim("batch")}}
    program = torch.export.export(subject.network(), (example,), dynamic_shapes=shapes)
    with path.open("wb") as file:  # by name it would insist on .pt2
        torch.export.save(program, file)


def program_answers(subject: Subject, path: Path) -> Callable[[Pixels], Scores]:
    with path.open("rb") as file:
        network = torch.export.load(file).module()
    return _without_gradient(lambda photos: network(subject.inputs(photos)))


def save_state(subject: Subject, path: Path) -> None:
    """Names and shapes as torchvision.models.resnet50(num_classes=...) has them; of the baseline its own."""
    facts = {"format": "pt", "classes": json.dumps(list(subject.classes)), "checkpoint": subject.meta["sha256"]}
    save_file(tensors_of(plain(subject.model)), path, facts)


def state_answers(subject: Subject, path: Path) -> Callable[[Pixels], Scores]:
    """Of torchvision's own network, loaded strictly."""
    classes = len(subject.classes)
    if subject.config.model.name == "resnet50":
        network: nn.Module = resnet50(num_classes=classes)
    else:
        network = build_model("baseline", classes, subject.config.data.side)
    network.load_state_dict(load_file(path), strict=True)
    network.eval()
    return _without_gradient(lambda photos: network(subject.augment(torch.from_numpy(photos))))


def _without_gradient(answer: Callable[[Pixels], Tensor]) -> Callable[[Pixels], Scores]:
    def run(photos: Pixels) -> Scores:
        with torch.inference_mode():
            return answer(photos).numpy()

    return run
