"""Sums of weights: the uniform soup of several runs, and the mixture of one with what it started from."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.distributed.runtime import Runtime
from leafdist.training.model import make_model, without_weights

Tensors = dict[str, Tensor]


def weighted_mean(states: Iterable[Tensors], shares: Sequence[float]) -> Tensors:
    """Average tensors of the same names and shapes: in float64, kept in the type that each has in the first state.

    With equal shares the uniform soup of Wortsman et al. (2022, arXiv 2203.05482); with a run's and its start's WiSE-FT
    (Wortsman et al. 2022, arXiv 2109.01903). Counters, which are integers, stay those of the first state.
    """
    first: Tensors = {}
    sums: Tensors = {}
    for state, share in zip(states, shares, strict=True):
        first = first or state
        for key, value in state.items():
            if value.is_floating_point():
                sums[key] = sums.get(key, torch.zeros((), dtype=torch.float64)) + share * value.double()
    means = {key: (total / sum(shares)).to(first[key].dtype) for key, total in sums.items()}
    return {key: means.get(key, value) for key, value in first.items()}


def start_of(config: Config, classes: Sequence[str], own: Tensors, runtime: Runtime) -> tuple[Tensors, bool]:
    """Return the weights that a run of `config` started from, and whether their head knew all of its classes.

    Where it did not, the head is that of `own`, the run's weights. Raises ValueError where the run started from drawn
    weights, or where their file is gone.
    """
    if config.model.weights == "none":
        raise ValueError(
            "--with-start: the run started from drawn weights (model.weights=none), with which there is nothing to "
            "share. Average several runs, or name one that was fine-tuned"
        )
    start, drawn = (make_model(one, classes, runtime).state_dict() for one in (config, without_weights(config)))
    head = network(config.model.name).head
    weight = f"{head}.weight"
    known = not (start[weight] == drawn[weight]).flatten(1).all(1).any()  # a row that is still as it was drawn
    return start if known else start | {key: own[key] for key in (weight, f"{head}.bias")}, bool(known)
