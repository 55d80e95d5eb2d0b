"""The words below a Grad-CAM picture can be read whatever the class is called, and tell why there is no heat."""

from typing import Any

import numpy as np
import pytest
from PIL import ImageDraw, ImageFont

from leafdist.predict import caption

PICTURE = np.full((448, 448, 3), 40, np.uint8)
NUMBER = "class 2 of 3"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All lines that are drawn."""
    lines, text = list[str](), ImageDraw.ImageDraw.text

    def note(self: ImageDraw.ImageDraw, at: tuple[float, float], line: str, *rest: Any) -> None:
        lines.append(line)
        text(self, at, line, *rest)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note)
    return lines


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Tomato___Early_blight", "Tomato · Early blight"),
        ("rust\n\t spots", "rust spots"),
        ("W" * 200, "W" * 200),
        ("Crop___" + "a_very_long_name_" * 9, "Crop · " + "a very long name " * 9),
        ("番茄_早疫病", NUMBER),
        ("me\u0301l\u00e9", NUMBER),
        ("bad\udcff", "bad\\udcff"),
    ],
)
def test_every_name_is_told(name: str, shown: str, drawn: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    own = ImageFont.load_default(caption.SIZE)
    monkeypatch.setattr(caption, "_fonts", lambda: (own,))  # as on a machine without fonts, whatever ran before
    page = caption.captioned(PICTURE, name, NUMBER, "87.3 % sure", heat=True)
    assert "".join(drawn).replace(" ", "").startswith(shown.replace(" ", "") + "87.3%sure")
    font = ImageFont.load_default(caption.SIZE)
    assert all(font.getlength(line) <= 448 - 2 * caption.MARGIN for line in drawn)
    below = np.asarray(page)[448:]
    assert below[:, -5:].min() == 255
    assert below[-5:].min() == 255
    assert page.info["comment"].startswith(name.encode(errors="backslashreplace")[:3])
    assert np.array_equal(np.asarray(page)[:448], PICTURE)


@pytest.mark.parametrize("heat", [True, False])
def test_missing_heat_gets_its_reason(heat: bool, drawn: list[str]) -> None:
    page = caption.captioned(PICTURE, "rust", NUMBER, "51.0 % sure", heat=heat)
    assert ("no heat" in " ".join(drawn), "none" in drawn) == (not heat, heat)
    coloured = np.ptp(np.asarray(page)[448:].astype(int), axis=2).max() > 60
    assert coloured == heat
