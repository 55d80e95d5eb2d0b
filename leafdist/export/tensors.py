"""PyTorch's own forms: a torch.export program, and a state dict in safetensors."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torchvision.models import get_model

from leafdist.export.agreement import Answer
from leafdist.export.portable import plain
from leafdist.export.subject import Subject
from leafdist.models.build import build_model
from leafdist.runs.checkpoint import save_tensors, tensors_of


def save_program(subject: Subject, path: Path) -> None:
    """Write a torch.export program for any number of photos; it needs no leafdist to load."""
    example = subject.inputs(subject.blank())
    shapes = {"images": {0: torch.export.Dim("batch")}}
    program = torch.export.export(subject.portable(), (example,), dynamic_shapes=shapes)
    with path.open("wb") as file:  # given a path, it would insist on the suffix .pt2
        torch.export.save(program, file)


def open_program(subject: Subject, path: Path) -> Answer:
    """Load the program; return what answers photos with it."""
    with path.open("rb") as file:
        network = torch.export.load(file).module()
    return torch.inference_mode()(lambda photos: network(subject.inputs(photos)).numpy())


def save_state(subject: Subject, path: Path) -> None:
    """Write the parameters, named as torchvision names them where it has the network."""
    facts = {"format": "pt", "classes": json.dumps(list(subject.classes)), "checkpoint": subject.meta.sha256}
    save_tensors(tensors_of(plain(subject.model)), path, facts)


def open_state(subject: Subject, path: Path) -> Answer:
    """Load the parameters strictly into torchvision's own network, if it has it; return what answers photos."""
    classes, row = len(subject.classes), subject.network
    if row.torchvision:
        network = get_model(row.torchvision, num_classes=classes)
    else:
        network = build_model(row.name, classes, subject.config.data.side)
    network.load_state_dict(load_file(path), strict=True)
    network.eval()
    return torch.inference_mode()(lambda photos: network(subject.augment(torch.from_numpy(photos))).numpy())
