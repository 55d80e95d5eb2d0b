"""A training on two roots, one with other backgrounds: the same on two processes and after a kill; each root judged."""

import json
from pathlib import Path

import pytest

from tests.helpers.painted_masks import paint_masks
from tests.helpers.photos import CLASSES, draw
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events

pytestmark = pytest.mark.slow


def test_two_roots_keep_the_promises(program: Program, photos: Path, tmp_path: Path) -> None:
    field = draw(tmp_path / "field", {"train": 4, "val": 2, "test": 2}, classes=(CLASSES[1], "rust"))
    (tmp_path / "map.tsv").write_text(f"rust\t{CLASSES[2]}\n")
    common = ["--data.root", photos, "--data.extra", f"[{field}:0.25]", "--data.classes", "map.tsv", *TINY]
    common += ["--data.resize", 16, "--optim.name", "sgd", "--train.epochs", 2, "--train.save_every", 1]
    common += ["--train.select", "worst_root", "--augment.mixup", 0.2, "--augment.background", 0.7, "--run.name"]
    common[-1:] = ["--augment.background_folder", draw(tmp_path / "behind", {"grass": 3}), "--run.name"]
    paint_masks(photos, 16)
    whole, parts, two = (tmp_path / "runs" / name for name in ("whole", "parts", "two"))
    done = program("train.py", *common, "whole")
    assert done.returncode == 0, done.stderr
    assert f"rows of a batch: 6 from {photos} (17 photos), 2 from {field} (8 photos)" in done.stdout
    lines = events(whole)
    assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2, 3, 4, 5, 6], "6, 6 and 5 of 17 photos"
    for line in (line for line in lines if line["event"] == "epoch"):
        accuracy = line["roots"]["field"]["accuracy"]
        assert line["val_score"] == min(line["val_accuracy"], accuracy)
        assert f"field accuracy {accuracy:.4f} accuracy of the worst root {line['val_score']:.4f}" in done.stdout

    assert program("tests/helpers/killed_train.py", 4, *common, "parts").returncode == 9
    done = program("train.py", *common, "parts")
    assert "step 4" in done.stdout, done.stderr
    assert events(parts) == lines
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (parts / "last/step-000000006" / name).read_bytes() == (
            whole / "last/step-000000006" / name
        ).read_bytes()
    assert program("train.py", *common, "two", processes=2).returncode == 0
    losses, roots = (
        [[line[key] for line in events(run) if key in line] for run in (whole, two)] for key in ("loss", "roots")
    )
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert [one["field"]["accuracy"] for one in roots[1]] == [one["field"]["accuracy"] for one in roots[0]]

    done = program("evaluate.py", whole)
    assert done.returncode == 0, done.stderr
    assert "runs/whole on field" in done.stdout
    judged = {name: json.loads((whole / f"eval-{name}.json").read_text()) for name in ("test", "test@field")}
    assert [one["images"] for one in judged.values()] == [9, 4]
    assert [row["images"] for row in judged["test@field"]["classes"].values()] == [0, 2, 2]
