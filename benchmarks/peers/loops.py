"""A network on a folder of photos, trained as peers have it: python loops.py torchvision|lightning|timm DATA.

fp32 or bf16 autocast, channels_last, random weights, Adam 1e-3, one epoch; the last line is photos a second of its
training, and of timm seconds of the whole epoch, validation included. timm runs its own train.py, given with --timm,
and trains any of its networks; the others train ResNet-50. No module of leafdist is imported.
"""

import argparse
import math
import re
import runpy
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

TIME = re.compile(r"Train:.*Time: .*\(([\d.]+)s,")  # the mean of the steps so far, which are all of a full batch
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def loader(options: argparse.Namespace) -> DataLoader:
    """As torchvision's references have it: PIL photos through v2 transforms, in worker processes."""
    transform = v2.Compose(
        [
            v2.Resize((options.resize, options.resize)),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomCrop(options.crop),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, DEVIATION),
        ]
    )
    photos = ImageFolder(str(options.root / "train"), transform)
    return DataLoader(photos, options.batch, shuffle=True, num_workers=options.workers)


def make_model(classes: int) -> torch.nn.Module:
    return models.resnet50(num_classes=classes).to(memory_format=torch.channels_last)


def torchvision(options: argparse.Namespace) -> tuple[float, float]:
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
    return len(photos.dataset) / (time.perf_counter() - began), math.nan


def lightning(options: argparse.Namespace) -> tuple[float, float]:
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
    return len(photos.dataset) / module.seconds, math.nan


class Log(StringIO):
    """Keeps what is written, and when the epoch began and the last batch was validated."""

    began = ended = 0.0

    def write(self, text: str) -> int:
        """As StringIO.write."""
        self.began = time.perf_counter() if "Scheduled epochs" in text else self.began
        self.ended = time.perf_counter() if "Test:" in text else self.ended
        return super().write(text)


def timm(options: argparse.Namespace) -> tuple[float, float]:
    """Its train.py with our crop and flips: a part of the photo of fixed size, flipped half of the time each way."""
    classes = sum(1 for _ in (options.root / "train").iterdir())
    side, share = options.crop, options.crop / options.resize
    words = f"--train-split train --val-split val --model {options.model}"
    words += f" --num-classes {classes} --input-size 3 {side} {side} --crop-pct {share} -b {options.batch}"
    words += f" --scale {share**2} {share**2} --ratio 1 1 --hflip 0.5 --vflip 0.5 --color-jitter 0 --smoothing 0"
    words += f" --train-interpolation {options.interpolation} --interpolation {options.interpolation}"
    words += f" --opt adam --lr 1e-3 --weight-decay 0 --warmup-epochs 0 --epochs 1 -j {options.workers}"
    words += " --device cpu --channels-last --log-interval 1"
    if options.precision == "bf16":
        words += " --amp --amp-dtype bfloat16"
    log = Log()
    with TemporaryDirectory() as folder, redirect_stdout(log), redirect_stderr(log):
        sys.argv = [str(options.timm), "--data-dir", str(options.root), *words.split(), "--output", folder]
        runpy.run_path(str(options.timm), run_name="__main__")
    return options.batch / float(TIME.findall(log.getvalue())[-1]), log.ended - log.began


def main() -> None:
    ways: dict[str, Callable[[argparse.Namespace], tuple[float, float]]] = {
        "torchvision": torchvision,
        "lightning": lightning,
        "timm": timm,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=ways)
    parser.add_argument("root", type=Path, help="folder of {train,val}/<class>/<photo>")
    parser.add_argument("--model", default="resnet50", help="of timm; the other ways train ResNet-50")
    parser.add_argument("--resize", type=int, default=64)
    parser.add_argument("--crop", type=int, default=52)
    parser.add_argument("--interpolation", default="bilinear")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    parser.add_argument("--timm", type=Path, help="timm's train.py, of the release that is installed")
    options = parser.parse_args()
    if options.way == "timm" and options.timm is None:
        parser.error("timm needs --timm train.py: its package comes without it")
    print(*ways[options.way](options))


if __name__ == "__main__":
    main()
