"""model.html in Chromium: one file that answers as `leafdist predict` does, and says when not to take an answer."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from leafdist.__main__ import main
from leafdist.data.decode import decode
from leafdist.pages.words import title_of
from leafdist.predict.api import load_run
from tests.helpers.browser import alone, needs_chromium, violations
from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES
from tests.helpers.untrained import make_refusing, untrained_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, needs_chromium]
NOISE = np.random.default_rng(3).integers(0, 255, (9, 13, 3), np.uint8)
NEVER = {"confidence": 2.0, "distance": 2.0}
ELSEWHERE = {"confidence": 0.0, "distance": -1.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = untrained_run(tmp_path_factory.mktemp("web") / "run", "baseline", CLASSES, crop=48, fit="crop", root="gone")
    make_refusing(made, 1.7)
    assert main(["export", str(made), "--formats", "web"]) == 0
    return made


@pytest.fixture
def page(browser: "Browser", run: Path) -> Iterator["Page"]:
    """The page on a phone."""
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with alone(browser, run / "export" / "model.html", ("data:", "blob:"), **phone) as page:
        yield page


def photo(form: str = "JPEG", **options: Any) -> bytes:
    """A photo that EXIF turns, larger than a canvas of the page."""
    exif, file = Image.Exif(), BytesIO()
    exif[274] = 6
    Image.fromarray(NOISE).resize((700, 500)).save(file, form, exif=exif, quality=95, **options)
    return file.getvalue()


def drop(page: "Page", content: bytes) -> None:
    made = (
        "bytes => { const all = new DataTransfer(); all.items.add(new File([new Uint8Array(bytes)], 'x')); return all }"
    )
    page.dispatch_event("body", "drop", {"dataTransfer": page.evaluate_handle(made, list(content))})


def test_dropped_photo_answers_as_predict(page: "Page", run: Path, tmp_path: Path) -> None:
    (tmp_path / "leaf.jpg").write_bytes(photo())
    (answer,) = load_run(run).predict([tmp_path / "leaf.jpg"])
    assert 0.35 < answer.probabilities[0] < 0.99  # else it would be the same whatever went in
    drop(page, photo())
    page.locator("#answer").wait_for()
    rows = page.locator("#guesses tr")
    assert rows.locator("th").all_inner_texts() == [title_of(name) for name in answer.classes]
    shown = rows.locator("data").evaluate_all("all => all.map(one => +one.value)")
    assert shown == pytest.approx(answer.probabilities, abs=1e-3)
    assert page.locator("#verdict").inner_text() == title_of(answer.classes[0])
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_limits_of_the_run_refuse(page: "Page") -> None:
    assert page.evaluate("settings.limits") == {"confidence": 0.1, "distance": 2.0}
    for limits, said in ((NEVER, "Not sure"), (ELSEWHERE, "Not one of these leaves")):
        page.evaluate("limits => { settings.limits = limits }", limits)
        drop(page, photo())
        page.get_by_role("heading", name=said).wait_for()
        assert page.locator("#guesses").evaluate("one => one.open") == (limits == NEVER)


def test_what_cannot_be_read_is_said(page: "Page") -> None:
    half = BytesIO()
    Image.fromarray(np.full((9, 9, 4), 128, np.uint8)).save(half, "PNG")
    for content, said in ((b"no photo", "cannot read that file"), (half.getvalue(), "transparent parts")):
        drop(page, content)
        page.locator("#status", has_text=said).wait_for()
        assert page.locator("#answer").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: "Browser", run: Path, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme, bypass_csp=True)
    page.goto((run / "export" / "model.html").as_uri())
    drop(page, photo())
    page.locator("#answer").wait_for()
    assert violations(page) == []
    page.close()


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_pixels_are_those_of_pillow(browser: "Browser", method: str, tmp_path: Path) -> None:
    page, path = browser.new_page(), tmp_path / "noise.png"
    page.add_script_tag(path=REPO / "leafdist" / "pages" / "assets" / "pixels.js")
    look = "([pixels, wide, how]) => createImageBitmap(new ImageData(new Uint8ClampedArray(pixels), wide))"
    for high, wide, side, fit in ((300, 217, 64, "stretch"), (31, 601, 8, "crop"), (9, 13, 32, "crop")):
        pixels = np.random.default_rng(wide).integers(0, 256, (high, wide, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        given = np.dstack([pixels, np.full((high, wide), 255, np.uint8)]).ravel().tolist()
        how = {"side": side, "fit": fit, "filter": method}
        found = page.evaluate(f"{look}.then(photo => Array.from(squared(photo, how)))", [given, wide, how])
        np.testing.assert_array_equal(np.reshape(found, (side, side, 3)), decode(path, side, fit, filter_=method))  # type: ignore[arg-type]
    page.close()


def test_runtime_says_which_file_to_bring(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "leafdist" / "onnxruntime-web-1.30.0.tgz"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: "false")
    assert main(["export", str(run), "--formats", "web"]) == 2
    assert (
        f"`npm pack onnxruntime-web@1.30.0` makes that file on any machine with npm: put it at {path}"
        in capsys.readouterr().err
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"another one")
    assert main(["export", str(run), "--formats", "web"]) == 2
    assert f"{path} is not npm's onnxruntime-web 1.30.0" in capsys.readouterr().err
