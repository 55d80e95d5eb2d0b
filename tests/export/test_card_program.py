"""The program on the model card answers as `leafdist predict` does, whatever the photo and the names of the classes."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leafdist.__main__ import main
from leafdist.predict.api import load_run
from tests.helpers.untrained import untrained_run

NAMES = (
    "two\nlines",
    "next\u2028line",
    "back\r",
    'a, "b"',
    " blank ",
    "=1+1",
    "叶 🍂",
    "stray \udcff",
    "back\\slash",
    "p|pe",
)
PIXELS = np.random.default_rng(3).integers(0, 255, (5, 7, 3), np.uint8)
PHOTO = Image.fromarray(PIXELS).resize((200, 120))
GREY16 = Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257)


def turned(form: str, orientation: int) -> Callable[[Path], None]:
    exif = Image.Exif()
    exif[274] = orientation
    return lambda path: PHOTO.save(path, form, exif=exif)


def saved(image: Image.Image, form: str, **options: object) -> Callable[[Path], None]:
    return lambda path: image.save(path, form, **options)


CASES: dict[str, Callable[[Path], None]] = {
    **{
        f"{form} {turn}": turned(form, turn) for form in ("JPEG", "PNG", "TIFF", "WEBP") for turn in (1, 2, 5, 6, 8, 99)
    },
    **{f"JPEG {turn}": turned("JPEG", turn) for turn in (3, 4, 7)},
    "16 bits": saved(GREY16, "PNG"),
    "16 bits in TIFF": saved(GREY16, "TIFF"),
    "palette": saved(PHOTO.quantize(16), "PNG", transparency=3),
    "alpha": saved(PHOTO.convert("RGBA"), "PNG"),
    "grey and alpha": saved(PHOTO.convert("LA"), "PNG"),
    "CMYK": saved(PHOTO.convert("CMYK"), "JPEG"),
    "black and white": saved(PHOTO.convert("1"), "PNG"),
    "damaged EXIF": saved(PHOTO, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03" * 9),
    "no EXIF in EXIF": saved(PHOTO, "WEBP", exif=b"nonsense"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = untrained_run(tmp_path_factory.mktemp("card") / "run", "baseline", NAMES, crop=48, root="gone")
    assert main(["export", str(made), "--formats", "onnx"]) == 0
    return made


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged EXIF
@pytest.mark.parametrize("case", CASES)
def test_answers_are_those_of_predict(
    case: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run / "export"
    CASES[case](folder / "leaf.jpg")
    monkeypatch.chdir(folder)
    card = (folder / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    exec(program, {})
    said = capsys.readouterr().out
    (answer,) = load_run(run).predict([folder / "leaf.jpg"])
    assert said.splitlines() == [
        f"{name!r} {round(chance, 4)}" for name, chance in zip(answer.classes, answer.probabilities, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("formats", "imported"), [("pt2", "torch"), ("safetensors", "leafdist")])
def test_cards_without_onnx_have_programs(
    formats: str, imported: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", str(run), "--formats", formats, "--to", str(tmp_path)]) == 0
    PHOTO.save(tmp_path / "leaf.jpg")
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
    assert imported in program
    exec(program, {})
