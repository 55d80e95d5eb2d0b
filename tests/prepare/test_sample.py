"""The synthetic leaf photos: the same whoever draws them, whole or absent, and different where they should be."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leafdist.data.photos import list_classes, list_images
from leafdist.prepare.leaf import draw_leaf
from leafdist.prepare.sample import CLASSES, CROPS, DISEASES, draw_sample


def photos(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.jpg"))}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("sample") / "raw"
    assert draw_sample(dest, per_class=2, side=64) == 66
    return dest


def test_classes_are_33_crops_and_diseases() -> None:
    assert len(set(CLASSES)) == 33
    assert list(CLASSES) == sorted(CLASSES)
    pairs = [name.split("___") for name in CLASSES]
    assert {crop for crop, _ in pairs} == set(CROPS)
    assert {disease for _, disease in pairs} == set(DISEASES)


def test_sample_has_square_photos_per_class(sample: Path) -> None:
    assert list_classes(sample) == list(CLASSES)
    for name in CLASSES:
        found, skipped = list_images(sample / name)
        assert ([photo.name for photo in found], skipped) == (["0001.jpg", "0002.jpg"], {})
        with Image.open(found[0]) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 64))


def test_seed_repeats_and_photos_differ(sample: Path, tmp_path: Path) -> None:
    draw_sample(tmp_path / "again", per_class=2, side=64)
    draw_sample(tmp_path / "other", per_class=2, side=64, seed=1)
    first, again, other = photos(sample), photos(tmp_path / "again"), photos(tmp_path / "other")
    assert first == again
    assert len({*first.values(), *other.values()}) == 132


@pytest.mark.slow
def test_photos_ignore_count_and_processes(sample: Path, tmp_path: Path) -> None:
    draw_sample(tmp_path / "more", per_class=10, side=64)  # enough to be drawn by several processes
    more = photos(tmp_path / "more")
    assert len(more) == 330
    assert photos(sample).items() <= more.items()


def test_healthy_leaf_is_greener_than_mildewed() -> None:
    def green(disease: str) -> float:
        leaves = [draw_leaf(CROPS["Cherry"], DISEASES[disease], 64, np.random.default_rng(seed)) for seed in range(8)]
        pixels = np.stack([np.asarray(leaf, np.float32) for leaf in leaves])[:, 24:40, 24:40]
        return float((pixels[..., 1] - pixels[..., 0]).mean())

    assert green("healthy") > green("Powdery_mildew") + 10


def test_nonempty_destination_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="not an empty folder"):
        draw_sample(tmp_path, per_class=1, side=32)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_destination_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert draw_sample(tmp_path / "empty", per_class=1, side=32) == 33


@pytest.mark.parametrize("wrong", [{"per_class": 0}, {"side": 8}, {"seed": -1}])
def test_numbers_out_of_range_are_named(tmp_path: Path, wrong: dict[str, int]) -> None:
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name} {value} is too small"):
        draw_sample(tmp_path / "raw", **wrong)


def test_failed_sample_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("leafdist.prepare.sample.draw_leaf", fail)
    with pytest.raises(OSError, match="No space"):
        draw_sample(tmp_path / "raw", per_class=1, side=32)
    assert list(tmp_path.iterdir()) == []
