"""The program in a model card: an exported network without leafdist, with onnxruntime and PIL alone."""

from leafdist.data.augment import MEANS
from leafdist.export.subject import Subject

INSIDE = '(scores,) = session.run(None, {"images": np.asarray(photo)[None]})'
OUTSIDE = '(scores,) = session.run(None, {"images": pixels.transpose(2, 0, 1)[None]})'


def example(subject: Subject, network: str, labels: str) -> str:
    """Python that prints the three likeliest classes of leaf.jpg."""
    side, fit = subject.config.data.resize, subject.config.data.fit
    square = f"ImageOps.fit(photo, ({side}, {side}), Image.Resampling.BILINEAR)"
    if fit == "stretch":
        square = f"photo.resize(({side}, {side}), Image.Resampling.BILINEAR)"
    lines = [
        "import numpy as np",
        "import onnxruntime",
        "from PIL import Image, ImageOps",
        "",
        f'session = onnxruntime.InferenceSession("{network}")',
        f'labels = open("{labels}", encoding="utf-8").read().splitlines()',
        'photo = ImageOps.exif_transpose(Image.open("leaf.jpg")).convert("RGB")',
        f"photo = {square}",
        *([INSIDE] if subject.inside else [*outside(subject), OUTSIDE]),
        f"chances = np.exp((scores[0] - scores[0].max()) / {subject.temperature or 1:.6g})",
        "for place in chances.argsort()[::-1][:3]:",
        "    print(labels[place], round(float(chances[place] / chances.sum()), 4))",
    ]
    return "\n".join(lines)


def outside(subject: Subject) -> list[str]:
    """Crop, scale, normalise, in numpy."""
    data = subject.config.data
    side, crop = data.resize, int(data.crop) or data.resize
    start = round((side - crop) / 2)
    lines = [f"pixels = np.asarray(photo)[{start}:{start + crop}, {start}:{start + crop}].astype(np.float32) / 255"]
    if data.normalize in MEANS:
        mean, deviation = MEANS[data.normalize]
        lines += [f"pixels = (pixels - np.float32({list(mean)})) / np.float32({list(deviation)})"]
    return lines
