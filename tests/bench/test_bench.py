"""What makes a step fast must change nothing else: compiled networks, packs on the device, and the bench itself."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from leafdist.bench.device import training_rates
from leafdist.bench.host import loading, packing
from leafdist.bench.rows import verdict
from leafdist.bench.timing import Case, Row, in_turns
from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig, TrainConfig
from leafdist.data.index import scan
from leafdist.data.loader import Loader
from leafdist.data.pack import ensure_pack
from leafdist.data.plan import Share
from leafdist.data.source import PackSource
from leafdist.distributed.precision import settle_precision
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import cast_once
from leafdist.models.build import build_model
from leafdist.system.errors import UnreadablePhotoError
from leafdist.training.model import check_batchnorm, check_sync_batchnorm
from tests.helpers.paths import REPO
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_compiled_runs_are_exact_and_resume(program: Program, photos: Path, tmp_path: Path) -> None:
    """17 photos, batch 8: the last batch has one photo, so that one process runs a stand-in."""
    common = ["train.py", "--data.root", photos, *TINY, "--train.epochs", 3, "--optim.name", "sgd"]
    compiled = [*common, "--train.compile", "true", "--train.save_every", 2]
    assert program(*common, "--run.name", "plain", processes=2).returncode == 0
    done = program(*compiled, "--run.name", "whole", processes=2)
    assert done.returncode == 0, done.stderr
    assert "recompile_limit" not in done.stderr
    runs = tmp_path / "runs"
    shutil.copytree(runs / "whole", runs / "parts")
    shutil.rmtree(runs / "parts" / "last" / "step-000000009")
    assert program(*compiled, "--run.name", "parts", processes=2).returncode == 0
    assert events(runs / "parts") == events(runs / "whole")
    plain, whole = (load_file(runs / name / "best" / "model.safetensors") for name in ("plain", "whole"))
    assert list(plain) == list(whole), "no prefix of a compiled network"
    losses = [[event["loss"] for event in events(runs / name) if "loss" in event] for name in ("plain", "whole")]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)


def test_device_pack_gives_the_same_batches(photos: Path) -> None:
    index = scan(photos, "train")
    source = PackSource(index, 24, ensure_pack(index, 24, photos / "cache", 1))
    shares = [Share.undrawn(np.array([3, 1, 16])), Share.undrawn(np.array([0]))]
    loaders = [Loader(source, torch.device("cpu"), 0, resident=resident) for resident in (False, True)]
    for labels in (index.labels, index.labels + 1):  # as photos from elsewhere are labelled anew
        source.index = replace(index, labels=labels)
        for host, device in zip(*(loader.batches(shares) for loader in loaders), strict=True):
            assert all(torch.equal(mine, theirs) for mine, theirs in zip(host.tensors, device.tensors, strict=True))


def test_packing_decodes_as_configured(photos: Path) -> None:
    data = DataConfig(root=str(photos), resize=16, max_pixels=1)
    for case in packing(Config(data=data), scan(photos, "train"), 1):
        with pytest.raises(UnreadablePhotoError, match="max_pixels"):
            case.work(1)


def test_odd_folders_stop_no_protocol_loader(photos: Path) -> None:
    (photos / "train" / ".ipynb_checkpoints").mkdir()
    config = resolve(Config(data=DataConfig(root=str(photos), resize=16, crop=0), train=TrainConfig(batch_size=8)))
    case = loading(config, scan(photos, "train"), Runtime(), [])[0]
    assert case.work(2) == 16


@pytest.mark.parametrize("name", ["baseline", "resnet50"])
def test_weights_cast_once_equal_autocast(name: str) -> None:
    model = build_model(name, 3, 32).eval()
    pixels, before = torch.rand(4, 3, 32, 32), model.state_dict()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cast_once(model, "bf16")(pixels), model(pixels))
    assert {tensor.dtype for tensor in before.values()} <= {torch.float32, torch.int64}
    assert cast_once(model, "no") is model


def test_sync_batchnorm_is_for_equal_parts() -> None:
    model = build_model("resnet50", 3, 64)
    config = Config(train=TrainConfig(batch_size=8, sync_batchnorm=True, accumulate=4))
    check_sync_batchnorm(model, config, 16, world=2)
    check_sync_batchnorm(model, config, 17, world=2)  # one photo is left for a batch: a stand-in is one part too
    with pytest.raises(ValueError, match=r"a batch of 7 photos gives 4 parts to one of 2 processes and 3"):
        check_sync_batchnorm(model, config, 15, world=2)


def test_batch_statistics_need_two_rows() -> None:
    model = build_model("resnet50", 3, 32)
    config = resolve(Config(data=DataConfig(crop=32), model=ModelConfig(weights="none")))
    synced = replace(config, train=TrainConfig(batch_size=2, sync_batchnorm=True, max_rows=1))
    check_batchnorm(model, synced, 4, world=2)
    for refused, photos in ((replace(config, train=TrainConfig(batch_size=2)), 4), (synced, 3)):
        with pytest.raises(ValueError, match="no variance for BatchNorm"):
            check_batchnorm(model, refused, photos, world=2)
        alone = replace(refused, train=replace(refused.train, epochs=2, head_epochs=2))
        check_batchnorm(model, alone, photos, world=2)


def test_pooled_batchnorm_needs_two_rows() -> None:
    """It sees one value per channel and photo, however large the photo."""
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(4)]
    config = resolve(Config(data=DataConfig(crop=52), model=ModelConfig(weights="none")))
    one_row = replace(config, train=TrainConfig(batch_size=2))
    check_batchnorm(nn.Sequential(*layers[:2]), one_row, 3, world=1)
    with pytest.raises(ValueError, match=r"no variance for BatchNorm\. Change the batch size$"):
        check_batchnorm(nn.Sequential(*layers), one_row, 3, world=1)
    synced = replace(config, train=TrainConfig(batch_size=8, sync_batchnorm=True))
    with pytest.raises(ValueError, match="resnet50 has BatchNorm1d too, which cannot be synchronised"):
        check_sync_batchnorm(nn.Sequential(*layers), synced, 16, world=2)


def test_cases_are_measured_in_turns() -> None:
    calls: list[str] = []

    def case(name: str) -> Case:
        def work(batches: int) -> int:
            calls.append(name)
            return batches

        return Case(name, work)

    rows = in_turns([case("a"), case("b")], turns=3, seconds=0, most=5)
    assert calls == ["a", "b", "a", "b"] + ["a", "b"] * 3
    assert rows[0].ratio == 1
    assert [row.name for row in rows] == ["a", "b"]


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_training_rate_needs_no_process_group(seconds: float) -> None:
    config = resolve(Config(data=DataConfig(resize=16), model=ModelConfig(name="baseline")))
    rates = training_rates(config, rows=2, threads=torch.get_num_threads(), seconds=seconds)
    assert len(rates) >= 2, "the slowest and the fastest step are told"
    assert min(rates) > 0


def test_verdict_says_what_bounds_the_run() -> None:
    def row(name: str, rate: float) -> Row:
        return Row(name, rate, rate, rate, rate / 100, 0)

    training = [row("ceiling", 100), row("from the pack", 98), row("from the folder", 60)]
    assert verdict(training, [row("folder, 1 worker", 30)]) == [
        "from the pack: model-bound, at 98% of the ceiling",
        "from the folder: loader-bound: needs 4 workers, each on a core of its own, at 60% of the ceiling",
    ]


@pytest.mark.slow
def test_bench_measures_whole_programs(photos: Path, tmp_path: Path) -> None:
    settings = ["--model.name", "baseline", "--data.root", str(photos)]
    settings += ["--train.batch_size", "8", "--data.resize", "16"]
    command = [sys.executable, "-m", "leafdist", "bench", "--turns", "1", "--parts", "packing", "--seconds", "0.01"]
    command += ["--json", str(tmp_path / "bench.json"), *settings]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "bench.json").read_text())["packing"]) == 2
    command = [sys.executable, "benchmarks/programs.py", "--turns", "1", *settings]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["start"]["train.py to its first step"] > result["start"]["train.py --help"] > 0
    assert [values["mebibytes"] > 100 for values in result["processes"].values()] == [True, True]


@pytest.mark.slow
def test_bench_measures_every_part(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "leafdist", "bench", "--parts", "ceiling,training,evaluation,loading"]
    command += ["--turns", "1", "--seconds", "0.01", "--model.name", "baseline", "--data.root", str(photos)]
    command += ["--data.resize", "16", "--train.batch_size", "8", "--json", str(tmp_path / "bench.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "bench.json").read_text())
    rows = {part: [row["name"] for row in result[part]] for part in ("ceiling", "training", "evaluation", "loading")}
    best = f"{settle_precision('auto').precision}, channels_last"
    assert rows["training"] == [best, "from the pack", "from the folder"]
    assert rows["ceiling"][-1] == f"{best}, compile=default"
    assert rows["loading"][0] == "the protocol's loader"
    assert len(result["verdict"]) == 2


@pytest.mark.parametrize(("arguments", "message"), [
    (["--parts", "speed"], "--parts speed: speed unknown; known are ceiling, training"),
    (["--optim.rate", "1"], "optim.rate: unknown key"),
    (["--turns", "0"], "--turns 0: must be at least 1"),
])  # fmt: skip
def test_bench_names_unknown_arguments(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "leafdist", "bench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 2
    assert message in done.stderr
