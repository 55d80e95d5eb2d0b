"""Starting from a checkpoint of ours: rows of the head go by the names of the classes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig
from leafdist.distributed.runtime import Runtime
from leafdist.runs.facts import HeadFacts
from leafdist.system.files import sha256
from leafdist.training.head import read_head
from leafdist.training.model import make_model
from tests.helpers.photos import CLASSES
from tests.helpers.programs import TINY, Program
from tests.helpers.untrained import untrained_run

KNOWN = ("apple", "corn", "grape")


def start_from(weights: Path | str, model: str = "baseline", **data: Any) -> Config:
    dropout = 0.25 if model.startswith("timm/") else None  # before the head, which is another class then
    network = ModelConfig(name=model, weights=str(weights), freeze="none", dropout=dropout)
    return resolve(Config(seed=3, model=network, data=DataConfig(**data)))


@pytest.mark.parametrize("model", ["baseline", "resnet50", "timm/test_vit", "timm/test_resnet"])
def test_other_order_permutes_the_logits(model: str, tmp_path: Path) -> None:
    run, order = untrained_run(tmp_path / "run", model, KNOWN), [2, 0, 1]
    config = start_from(run / "best" / "model.safetensors", model)
    same, permuted = (
        make_model(config, classes, Runtime()).eval() for classes in (KNOWN, [KNOWN[row] for row in order])
    )
    images = torch.rand(2, 3, config.data.side, config.data.side)
    with torch.inference_mode():
        expected, found = same(images), permuted(images)
    assert expected.std() > 1e-3
    assert torch.equal(found, expected[:, order])


@pytest.mark.parametrize(("classes", "rows", "text"), [
    (("Corn", "basil", "apple", "fig", "grape"), {0: 1, 2: 0, 4: 2}, "3 of 5 classes .* 2 drawn \\(basil, fig\\)$"),
    (("grape",), {0: 2}, "1 of 1 class copied from .* by name$"),
    (tuple("tuvwxyz"), {}, "0 of 7 classes .* 7 drawn \\(t, u, v, w, x, …\\)$"),
])  # fmt: skip
def test_common_classes_keep_their_rows(
    classes: tuple[str, ...], rows: dict[int, int], text: str, tmp_path: Path
) -> None:
    run = untrained_run(tmp_path / "run", "baseline", KNOWN)
    source, config = load_file(run / "best" / "model.safetensors"), start_from(run)
    drawn, found = (make_model(given, classes, Runtime()).state_dict() for given in (start_from("none"), config))
    for key, value in found.items():
        if not key.startswith("head."):
            assert torch.equal(value, source[key]), key
            continue
        for row in range(len(classes)):
            assert torch.equal(value[row], source[key][rows[row]] if row in rows else drawn[key][row]), (key, row)
    head = read_head(config, classes, pytest.fail)
    assert head is not None
    assert (head.copied, len(head.drawn)) == ([classes[row] for row in rows], len(classes) - len(rows))
    assert re.search(text, head.text), head.text


def test_other_normalisation_is_a_warning(tmp_path: Path) -> None:
    run, said = untrained_run(tmp_path / "run", "baseline", KNOWN), list[str]()
    read_head(start_from(run, normalize="imagenet"), KNOWN, said.append)
    (line,) = said
    assert "data.normalize=none, this run has imagenet" in line


def test_other_files_go_by_index(tmp_path: Path) -> None:
    run, bare = untrained_run(tmp_path / "run", "baseline", KNOWN), tmp_path / "bare.safetensors"
    save_file(state := load_file(run / "best" / "model.safetensors"), bare)
    model = make_model(start_from(bare), KNOWN[::-1], Runtime())
    assert torch.equal(model.state_dict()["head.weight"], state["head.weight"])
    assert read_head(start_from(bare), KNOWN, pytest.fail) is None
    with pytest.raises(ValueError, match="was trained on 3 classes, the data has 2"):
        make_model(start_from(bare), KNOWN[:2], Runtime())


@pytest.mark.parametrize(("model", "data"), [("resnet50", {}), ("timm/test_vit", {}), ("baseline", {"resize": 32})])
def test_other_network_is_still_refused(model: str, data: dict[str, int], tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", "baseline", KNOWN)
    with pytest.raises(ValueError, match="of another architecture"):
        make_model(start_from(run, model, **data), ("fig", "apple"), Runtime())


@pytest.mark.slow
def test_record_outlives_a_restart(program: Program, photos: Path, tmp_path: Path) -> None:
    source = untrained_run(tmp_path / "runs" / "source", "baseline", (CLASSES[2], "Rose", CLASSES[0]))
    arguments = ["train.py", "--data.root", photos, *TINY, "--model.weights", source, "--train.epochs"]
    done = program(*arguments, 1, processes=2)
    assert done.stdout.count("head: 2 of 3 classes copied") == 1, done.stderr
    facts = json.loads((tmp_path / "runs" / "run" / "run.json").read_text())
    path = str(source / "best" / "model.safetensors")
    assert HeadFacts(**facts["head"]) == HeadFacts(path, [CLASSES[0], CLASSES[2]], [CLASSES[1]])
    assert facts["weights_sha256"] == sha256(source / "best" / "model.safetensors")
    shutil.rmtree(source)  # the checkpoint has all weights
    done = program(*arguments, 2)
    assert "resumed from" in done.stdout, done.stderr
    assert "head:" not in done.stdout
    again = json.loads((tmp_path / "runs" / "run" / "run.json").read_text())
    assert len(again["starts"]) == 2
    assert all(again[key] == facts[key] for key in ("head", "weights_sha256"))
