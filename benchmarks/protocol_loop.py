"""The protocol as its text has it, in plain PyTorch, to measure against: python benchmarks/protocol_loop.py DATA MODEL.

fp32, PIL transforms, 4 loader workers, batch 256, no AMP, no channels_last. Prints a JSON line an epoch.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

BATCH, LEARNING_RATE, WORKERS = 256, 1e-3, 4
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class Net(nn.Module):
    """The baseline, with PyTorch's own dropout."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(4096, 512), nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        for convolution in (self.conv1, self.conv2, self.conv3):
            x = F.dropout(F.max_pool2d(F.relu(convolution(x)), 2), 0.25, self.training)
        x = F.dropout(F.relu(self.fc1(x.flatten(1))), 0.5, self.training)
        return F.log_softmax(self.fc2(x), 1)


def make_model(name: str, classes: int) -> nn.Module:
    """ResNet-50 without its ImageNet weights, first five children frozen; their BatchNorm goes on moving."""
    if name == "baseline":
        return Net(classes)
    model = models.resnet50()
    model.fc = nn.Linear(model.fc.in_features, classes)
    for child in list(model.children())[:5]:
        child.requires_grad_(requires_grad=False)
    return model


def make_transform(name: str, split: str) -> transforms.Compose:
    resize, to_tensor = transforms.Resize([64, 64]), transforms.ToTensor()
    if name == "baseline":
        return transforms.Compose([resize, to_tensor])
    flips = [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip()] if split == "train" else []
    return transforms.Compose([resize, *flips, transforms.RandomCrop(52), to_tensor, transforms.Normalize(*IMAGENET)])


def make_loaders(root: Path, name: str) -> dict[str, DataLoader]:
    sets = {split: ImageFolder(str(root / split), make_transform(name, split)) for split in ("train", "val")}
    return {split: DataLoader(data, BATCH, shuffle=True, num_workers=WORKERS) for split, data in sets.items()}


def epochs(root: Path, name: str, count: int) -> Iterator[dict[str, float]]:
    """Train; yields what an epoch showed. The baseline is evaluated on its training photos too, as in the text."""
    loaders = make_loaders(root, name)
    model = make_model(name, len(loaders["train"].dataset.classes))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.1) if name == "resnet50" else None
    best, best_weights = 0.0, None
    for epoch in range(count):
        began = time.monotonic()
        model.train()
        for images, labels in loaders["train"]:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        trained = time.monotonic()
        if scheduler:
            scheduler.step()
        else:
            accuracy(model, loaders["train"])
        value = accuracy(model, loaders["val"])
        if value > best:
            best, best_weights = value, copy.deepcopy(model.state_dict())
        seconds, photos = time.monotonic() - began, len(loaders["train"].dataset)
        yield {
            "epoch": epoch,
            "val_accuracy": value,
            "seconds": seconds,
            "images_per_second": photos / (trained - began),
        }
    assert best_weights is not None


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    with torch.no_grad():
        hits = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in loader)
    return hits / len(loader.dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of {train,val}/<class>/<photo>")
    parser.add_argument("model", choices=("baseline", "resnet50"))
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    for event in epochs(options.root, options.model, options.epochs):
        print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
