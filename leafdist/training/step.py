"""One optimizer step on a rank's share of a global batch: the same update however the batch is cut."""

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.data.loader import Batch
from leafdist.data.mixing import BLEND_COLUMNS, mix
from leafdist.data.plan import micro_batches
from leafdist.distributed.memory import memory_for, memory_for_rows
from leafdist.distributed.runtime import Runtime
from leafdist.models.batchnorm import RunningStatistics
from leafdist.models.dropout import dropout_layers, seek_rows, seek_step
from leafdist.models.sync_batchnorm import synchronize
from leafdist.training.graph import StepGraph
from leafdist.training.head_features import HeadOnFeatures
from leafdist.training.not_finite import FiniteWatch
from leafdist.training.optim import build_optimizer, gradient_norm, guard_update, learning_rate, set_rate
from leafdist.training.rates import group_parameters
from leafdist.training.weight_average import WeightAverage, copy_network

MOST_BAD_FP16 = 25  # bad steps in a row that end an fp16 run: halving 65536 as often, no scale helps


class TrainStep:
    """Owns the model on its device, its wrapped form and the optimizer; called with a batch, it updates the weights.

    features (N,F): of all photos; the head alone is run, on those of the batch. class_weights (C,): of the classes in
    the loss. average: the network of averaged weights, from the phase before. backgrounds: see Augment.
    """

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        runtime: Runtime,
        steps_per_epoch: int,
        *,
        resident: bool = False,
        features: Tensor | None = None,
        class_weights: list[float] | None = None,
        average: nn.Module | None = None,
        backgrounds: Tensor | None = None,
    ) -> None:
        self.config, self.runtime, self.steps_per_epoch = config, runtime, steps_per_epoch
        self.resident, self.from_features = resident, features is not None
        head = network(config.model.name).head
        self.memory_format = torch.channels_last if config.train.channels_last else torch.contiguous_format
        captured = config.train.graph == "always"
        if captured:  # what the default stream does cannot be captured, nor what autograd began on it
            stream = torch.cuda.Stream(runtime.device)
            stream.wait_stream(torch.cuda.current_stream())
            torch.cuda.set_stream(stream)
        with memory_for("for the network", resident=resident):
            self.model = model.to(runtime.device, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.groups = group_parameters(self.model, config.optim, head)
        self.optimizer = build_optimizer(self.groups, config.optim)
        if config.train.sync_batchnorm and runtime.world > 1:
            synchronize(self.model)
        learning = self.model if features is None else HeadOnFeatures(self.model.get_submodule(head), features)
        self.wrapped = runtime.wrap(learning)
        # made once, since walks over 161 modules cost a tenth of a step; and now: wrapping makes buffers anew
        self.statistics, self.dropouts = RunningStatistics(self.model), dropout_layers(self.model)
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.average: WeightAverage | None = None
        if decay := config.train.ema:  # begun after wrapping, which gives all ranks the weights of the first
            with memory_for("for the average of the weights", resident=resident):
                average = copy_network(self.model) if average is None else average
            self.average = WeightAverage(average, self.model, self.trained + self.statistics.buffers, decay)
        # static: a graph for each size of a share, and with dropout for each row that a micro-batch begins with; a
        # stand-in row runs uncompiled, in its own mode
        if config.train.compile:
            torch._dynamo.config.recompile_limit = 256
        self.forward = torch.compile(self.wrapped, dynamic=False) if config.train.compile else self.wrapped
        # a training's shapes are fixed; evaluation turns it off
        torch.backends.cudnn.benchmark = runtime.device.type == "cuda" and not config.train.deterministic
        self.augment = Augment.from_config(config.data, config.augment, backgrounds)
        self.class_weights = None
        if class_weights:  # made once: the host waits for each copy to a device
            self.class_weights = torch.tensor(class_weights, dtype=torch.get_default_dtype(), device=runtime.device)
        self.scaler = runtime.scaler
        self.watch = FiniteWatch(MOST_BAD_FP16 if self.scaler.is_enabled() else 1)
        self.graph = StepGraph(self.update, self.optimizer, config.train.batch_size, runtime) if captured else None
        self._settle_buckets()

    def rate(self, step: int) -> float:
        """The head's learning rate in optimizer step `step`."""
        return learning_rate(self.config.optim, self.config.train, step, self.steps_per_epoch)

    def rates(self, step: int) -> dict[str, float] | None:
        """Learning rates in optimizer step `step` by group; None where all have one."""
        if len(self.groups) == 1:
            return None
        rate = self.rate(step)
        return {group.name: group.factor * rate for group in self.groups}

    def __call__(self, step: int, batch: Batch) -> Tensor:
        """Update the weights as optimizer step `step`; returns this rank's sums of loss, hits and rows, (3,)."""
        set_rate(self.optimizer, self.rate(step))
        seek_step(self.dropouts, self.config.seed, step, self.runtime.device)
        if self.average:
            self.average.seek_step(step)
        outcome = (self.graph or self.update)(batch)
        self.watch.push(outcome[3], step)
        return outcome[:3]

    def update(self, batch: Batch) -> Tensor:
        """Update the weights, without a look at a value on the device: so that it can be captured.

        Returns this rank's sums of loss, hits and rows, and 1 where the update was refused, else 0: (4,).
        """
        share = batch.share
        before = self.statistics.snapshot() if self.scaler.is_enabled() else None  # fp16 goes on after a refused step
        with self.statistics.stand_in() if share.stand_in else nullcontext():
            loss, hits = self._accumulate(batch)
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer)
        norm = gradient_norm(self.trained, self.config.train.clip_norm)
        bad = guard_update(self.optimizer, norm)
        with memory_for("for the optimizer's averages", resident=self.resident):  # made in the first step
            self.optimizer.step()
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        rows = 0 if share.stand_in else len(share)
        self.statistics.average(rows / share.total)
        self.statistics.restore(before, bad)
        if self.average:
            with memory_for("for the average of the weights", resident=self.resident):
                self.average.follow(bad)
        return torch.stack([loss, hits.to(loss.dtype), torch.full_like(loss, rows), bad.to(loss.dtype)])

    def _accumulate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Gradients of all micro-batches, reduced over the ranks after the last."""
        share = batch.share
        parts = micro_batches(len(share), self.config.train.accumulate, self.config.train.max_rows)
        sums = []
        for part in parts:
            seek_rows(self.dropouts, share.first + part.start, part.stop - part.start)
            room = memory_for_rows(part.stop - part.start, resident=self.resident)
            with self.runtime.no_sync(self.wrapped, when=part is not parts[-1]), room:
                sums.append(self._forward_backward(batch, part))
        losses, hits = zip(*sums, strict=True)
        return torch.stack(losses).sum(), torch.stack(hits).sum()

    def _forward_backward(self, batch: Batch, part: slice) -> tuple[Tensor, Tensor]:
        """Gradients of one micro-batch; returns its sums of loss and of hits."""
        share = batch.share
        logits = (self.wrapped if share.stand_in else self.forward)(self._inputs(batch, part))
        weight = 0.0 if share.stand_in else 1.0
        loss, hits = self._loss_and_hits(logits, batch.labels[part])
        if share.mixed:
            next_loss, next_hits = self._loss_and_hits(logits, batch.labels[part.start + 1 : part.stop + 1])
            own = batch.draws[0, -BLEND_COLUMNS].to(loss.dtype)  # Blend.share
            loss, hits = own * loss + (1 - own) * next_loss, own * hits + (1 - own) * next_hits
        loss = loss * weight
        # DistributedDataParallel averages over the ranks: times world, the gradient is that of the global mean
        self.scaler.scale(loss * (self.runtime.world / share.total)).backward()
        return loss.detach(), hits * int(weight)

    def _loss_and_hits(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of the loss and of hits over rows."""
        smoothing = self.config.optim.label_smoothing
        loss = F.cross_entropy(logits, labels, self.class_weights, reduction="sum", label_smoothing=smoothing)
        return loss, (logits.detach().argmax(1) == labels).sum()

    def _inputs(self, batch: Batch, part: slice) -> Tensor:
        """What the network is given: augmented pixels, or which photos' features."""
        if self.from_features:
            assert not batch.share.mixed, "features cannot be mixed"
            return batch.indices[part]
        mixed, draws = batch.share.mixed, batch.draws
        rows = slice(part.start, part.stop + mixed)  # and the row that the last one is mixed with
        masks = None if batch.masks is None else batch.masks[rows]
        pixels = self.augment(batch.images[rows], draws[rows, : -BLEND_COLUMNS if mixed else None], masks)
        if mixed:
            pixels = mix(pixels, draws[0, -BLEND_COLUMNS:])
        return pixels.contiguous(memory_format=self.memory_format)

    def kept_network(self) -> nn.Module:
        """Return the network that is validated and kept as best; of an average, bring its other buffers up to date."""
        return self.average.updated_network() if self.average else self.model

    def release_if_tight(self) -> None:
        """Give a captured step back where a validation beside it may find no memory; called on all ranks."""
        if self.graph:
            self.graph.release_if_tight()

    def release(self) -> None:
        """Give back what must go before the process group: the graph, whose collectives are the group's."""
        if self.graph:
            self.graph.release()

    def scaler_state(self) -> dict[str, float] | None:
        """What a checkpoint holds of the gradient scaling; None unless precision is fp16."""
        return self.scaler.state_dict() if self.scaler.is_enabled() else None

    def _settle_buckets(self) -> None:
        """Run two passes of weight zero, so that a resumed run sums gradients in the order of the first start.

        DistributedDataParallel lays its buckets out anew after the first backward pass, which changes that order.
        """
        if self.runtime.world == 1:
            return
        side = self.config.data.side
        self.wrapped.eval()
        with memory_for("for the network's gradients", resident=self.resident):
            for _ in range(2):
                blank = torch.zeros((1, 3, side, side), device=self.runtime.device)
                first = torch.zeros(1, dtype=torch.int64, device=self.runtime.device)
                given = first if self.from_features else blank.contiguous(memory_format=self.memory_format)
                (self.wrapped(given).sum() * 0).backward()
        self.optimizer.zero_grad(set_to_none=True)
