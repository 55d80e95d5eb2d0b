"""The captured step: what it reads anew at each replay, and when a run has one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig, OptimConfig, TrainConfig
from leafdist.data.loader import Batch
from leafdist.data.mixing import Mixing
from leafdist.data.plan import EpochPlan
from leafdist.distributed.runtime import Runtime
from leafdist.models.build import build_model
from leafdist.runs.folder import continued
from leafdist.runs.saved_config import write_config
from leafdist.training import graph
from leafdist.training.graph import StepGraph, choose_graph
from leafdist.training.step import TrainStep

SIZE, PHOTOS, STEPS = 8, 20, 9  # two whole batches per epoch and one of four rows


class Replayed(StepGraph):
    """A graph without a GPU: its replay runs `update` on what a graph would read, and writes where it would write."""

    replays = 0

    def release_if_tight(self) -> None:
        """Keep it: there is no GPU whose memory it takes."""

    def _capture(self, batch: Batch) -> None:
        self.inputs = inputs = Batch(batch.share, *(tensor.clone() for tensor in batch.tensors))
        self.outcome = torch.zeros(4)
        self.graph = self  # type: ignore[assignment]

        def replay() -> None:
            self.replays += 1
            self.outcome.copy_(self.update(inputs))

        self.replay = replay


def train(wrap: Callable[[TrainStep, Runtime], None], *, mixed: bool) -> tuple[list[Tensor], TrainStep]:
    """Three epochs with dropout, flips, a rate that halves, mixed but for the last; returns the sums of each step."""
    config = Config(
        model=ModelConfig(name="baseline", dropout=0.5),
        data=DataConfig(resize=64, hflip=0.5),
        optim=OptimConfig(lr=2**-10, gamma=0.5, step_size=1),  # exact in float32
        train=TrainConfig(batch_size=SIZE, precision="no", ema=0.9),
    )
    runtime = Runtime()
    step = TrainStep(resolve(config), build_model("baseline", 3, 64, seed=0, dropout=0.5), runtime, steps_per_epoch=3)
    wrap(step, runtime)
    sums = []
    for number in range(STEPS):
        mixing = Mixing(1.0, 1.0, 64) if mixed and number < 6 else None
        share = EpochPlan(PHOTOS, SIZE, seed=0, epoch=number // 3, mixing=mixing).share(number % 3)
        torch.manual_seed(number)
        rows = len(share.indices)
        images = torch.randint(0, 256, (rows, 64, 64, 3), dtype=torch.uint8)
        labels, draws = torch.randint(0, 3, (rows,)), torch.from_numpy(share.draws)
        sums.append(step(number, Batch(share, images, labels, torch.from_numpy(share.indices), draws)))
    return sums, step


@pytest.mark.parametrize("mixed", [False, True])
def test_replays_train_as_single_launches_do(mixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos, labels, draws, rate, decay and the dropout's step are read anew; the short batches run as they are.

    Where mixing ends the step is captured anew, after one batch that runs as it is.
    """
    monkeypatch.setattr(graph, "WARM_UP", 2)

    def capture(step: TrainStep, runtime: Runtime) -> None:
        step.graph = Replayed(step.update, step.optimizer, SIZE, runtime)

    expected, eager = train(lambda step, runtime: None, mixed=mixed)
    found, captured = train(capture, mixed=mixed)
    assert isinstance(captured.graph, Replayed)
    assert captured.graph.replays == (3 if mixed else 4)
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))
    for networks in ((eager.model, captured.model), (eager.kept_network(), captured.kept_network())):
        first, second = (network.state_dict() for network in networks)
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("settings", "device", "chosen"),
    [
        (TrainConfig(), "cuda", "always"),
        (TrainConfig(), "cpu", "never"),
        (TrainConfig(graph="never"), "cuda", "never"),
        (TrainConfig(deterministic=True), "cuda", "never"),
        (TrainConfig(sync_batchnorm=True), "cuda", "never"),
        (TrainConfig(compile=True), "cuda", "never"),
    ],
)
def test_graph_is_where_it_can_be(settings: TrainConfig, device: str, chosen: str) -> None:
    said = list[str]()
    assert choose_graph(settings, torch.device(device), said.append) == chosen
    assert bool(said) == (device == "cuda" and settings.graph == "auto" and chosen == "never")


def test_impossible_graph_is_refused() -> None:
    for settings, device in ((TrainConfig(), "cpu"), (TrainConfig(compile=True), "cuda")):
        with pytest.raises(ValueError, match=r"Set train\.graph=never"):
            choose_graph(replace(settings, graph="always"), torch.device(device), print)


@pytest.mark.parametrize(("before", "now"), [("never", "never"), ("always", "auto")])
def test_resumed_run_keeps_its_graph(before: Literal["never", "always"], now: str, tmp_path: Path) -> None:
    config = replace(Config(), run=replace(Config().run, folder=str(tmp_path), name="run"))
    (tmp_path / "run").mkdir()
    write_config(tmp_path / "run", replace(config, train=TrainConfig(graph=before)))
    assert continued(config).train.graph == now
