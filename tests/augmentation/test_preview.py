"""The picture of what augmentation makes of photos: by command, and in the report of a run that augments."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leafdist.__main__ import main
from leafdist.config.resolve import resolve
from leafdist.config.schema import AugmentConfig, Config, DataConfig, ModelConfig
from leafdist.report.preview import GAP, WIDTH, augmented, preview
from tests.helpers.painted_masks import paint_masks

ERASED = AugmentConfig(erase=1.0)


def test_command_draws_eight_by_nine(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, settings = tmp_path / "p" / "preview.png", ["--model.name", "baseline", "--augment.erase", "1"]
    settings += ["--data.root", str(photos), "--data.resize", "24"]
    assert main(["augment-preview", "--out", str(out), *settings]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    pixels, cell = np.asarray(Image.open(out)), 24 + GAP
    assert pixels.shape == (8 * cell - GAP, 9 * cell - GAP, 3)
    black = [[(pixels[y : y + 24, x : x + 24] == 0).all(2).any() for x in range(0, 9 * cell, cell)] for y in (0, cell)]
    assert black == [[False, *[True] * 8]] * 2  # evaluation erases nothing
    assert not np.array_equal(pixels[:24, cell : cell + 24], pixels[:24, 2 * cell : 2 * cell + 24])


@pytest.mark.parametrize("gone", [False, True])
def test_report_shows_it_where_photos_are(gone: bool, photos: Path) -> None:
    config = Config(model=ModelConfig(name="baseline"), data=DataConfig(root=str(photos), resize=24), augment=ERASED)
    config = resolve(config)
    if gone:
        (photos / "train").rename(photos / "elsewhere")
    shown = preview(config)
    assert (shown is None) if gone else (shown is not None and shown.width == WIDTH)
    assert preview(replace(config, augment=AugmentConfig())) is None


def test_damaged_photos_are_passed_over(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, paths = photos / "preview.png", sorted((photos / "train").rglob("*.png"))
    command = ["augment-preview", "--out", str(out), "--model.name", "baseline", "--data.root", str(photos)]
    paths[0].write_bytes(b"not a photo")
    assert main(command) == 0
    assert out.is_file()
    for path in paths:
        path.write_bytes(b"not a photo")
    assert main(command) == 2
    assert "has no photo that can be read" in capsys.readouterr().err


def test_report_stands_without_readable_photos(photos: Path) -> None:
    for path in (photos / "train").rglob("*.png"):
        path.write_bytes(b"not a photo")
    config = Config(model=ModelConfig(name="baseline"), data=DataConfig(root=str(photos)), augment=ERASED)
    assert preview(resolve(config)) is None


def test_other_backgrounds_are_drawn(photos: Path, tmp_path: Path) -> None:
    """The leaf stays, a disc; behind it a blue photo comes and goes, but not behind a photo without a trusted mask."""
    (tmp_path / "sky" / "deep").mkdir(parents=True)
    Image.new("RGB", (30, 30), (0, 0, 255)).save(tmp_path / "sky" / "deep" / "1.png")
    augment, data = AugmentConfig(background=0.5, background_folder=str(tmp_path / "sky")), DataConfig(root=str(photos))
    config = resolve(Config(model=ModelConfig(name="baseline"), data=replace(data, resize=24), augment=augment))
    assert preview(config) is None, "there are no masks"
    paint_masks(photos, 24)
    pixels = augmented(config, photos / "train")
    corners = (pixels[:: 24 + GAP, :: 24 + GAP] == (0, 0, 255)).all(2)
    assert corners.shape == (8, 9)
    assert not corners[:, 0].any(), "evaluation sees the photo"
    assert corners.any(1).tolist() == [True, False, True] * 2 + [True, False]
    assert not corners[:, 1:].all(1).any()
    middles = pixels[12 :: 24 + GAP, 12 :: 24 + GAP]
    assert (middles == middles[:, :1]).all()
