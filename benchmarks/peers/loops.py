"""ResNet-50 on a folder of photos, trained the way two peers have it: python loops.py torchvision|lightning|timm DATA.

fp32 or bf16 autocast, channels_last, random weights, Adam 1e-3, one epoch; the last line is photos a second of that
epoch. timm runs its own train.py, given with --timm. No module of leafdist is imported.
"""

import argparse
import re
import runpy
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

TIME = re.compile(r"Train:.*/(\d+) .*Time: .*\(([\d.]+)s,")  # steps of an epoch, and their mean so far
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def loader(options: argparse.Namespace) -> DataLoader:
    """As torchvision's references have it: PIL photos through v2 transforms, in worker processes."""
    transform = v2.Compose(
        [
            v2.Resize((64, 64)),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomCrop(52),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, DEVIATION),
        ]
    )
    photos = ImageFolder(str(options.root / "train"), transform)
    return DataLoader(photos, options.batch, shuffle=True, num_workers=options.workers)


def make_model(classes: int) -> torch.nn.Module:
    return models.resnet50(num_classes=classes).to(memory_format=torch.channels_last)


def torchvision(options: argparse.Namespace) -> float:
    """The loop of its references/classification."""
    photos = loader(options)
    model = make_model(len(photos.dataset.classes)).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    began = time.perf_counter()
    for images, labels in photos:
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            loss = F.cross_entropy(model(images.to(memory_format=torch.channels_last)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return len(photos.dataset) / (time.perf_counter() - began)


def lightning(options: argparse.Namespace) -> float:
    """Its Trainer, with everything off that is not training."""
    from lightning import LightningModule, Trainer

    photos = loader(options)

    class Classifier(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.seconds = make_model(len(photos.dataset.classes)), 0.0

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            images, labels = batch
            return F.cross_entropy(self.model(images.to(memory_format=torch.channels_last)), labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 1e-3)

        def on_train_epoch_start(self) -> None:
            self.began = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            self.seconds = time.perf_counter() - self.began

    module = Classifier()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    precision = {"no": "32-true", "bf16": "bf16-mixed"}[options.precision]
    Trainer(accelerator="cpu", max_epochs=1, precision=precision, **quiet).fit(module, photos)
    return len(photos.dataset) / module.seconds


def timm(options: argparse.Namespace) -> float:
    """Its train.py without augmentation: for the host less work than flips and crops."""
    classes = sum(1 for _ in (options.root / "train").iterdir())
    words = (
        f"{options.timm} --data-dir {options.root} --train-split train --val-split val --model resnet50 --device cpu"
    )
    words += f" --num-classes {classes} --input-size 3 52 52 --no-aug -b {options.batch} -j {options.workers}"
    words += " --opt adam --lr 1e-3 --epochs 1 --warmup-epochs 0 --channels-last --log-interval 1 --output /tmp"
    if options.precision == "bf16":
        words += " --amp --amp-dtype bfloat16"
    sys.argv, log = words.split(), StringIO()
    with redirect_stdout(log), redirect_stderr(log):
        runpy.run_path(str(options.timm), run_name="__main__")
    steps, seconds = TIME.findall(log.getvalue())[-1]
    return sum(1 for _ in (options.root / "train").glob("*/*")) / (int(steps) * float(seconds))


def main() -> None:
    ways: dict[str, Callable[[argparse.Namespace], float]] = {
        "torchvision": torchvision,
        "lightning": lightning,
        "timm": timm,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=ways)
    parser.add_argument("root", type=Path, help="folder of {train,val}/<class>/<photo>")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    parser.add_argument("--timm", type=Path, help="timm's train.py, of the release that is installed")
    options = parser.parse_args()
    if options.way == "timm" and options.timm is None:
        parser.error("timm needs --timm train.py: its package comes without it")
    print(ways[options.way](options))


if __name__ == "__main__":
    main()
