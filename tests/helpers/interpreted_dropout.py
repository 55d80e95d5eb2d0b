"""The Triton kernel of dropout, run by Triton's interpreter on the CPU, against NumPy's Philox."""

import os

os.environ["TRITON_INTERPRET"] = "1"  # read where Triton is imported
from contextlib import nullcontext

import torch

from leafdist.models import dropout
from leafdist.models.dropout_kernel import fill

setattr(torch.cuda, "device", lambda _: nullcontext())  # noqa: B010 - mypy takes no other
CASES = [
    ((3, 100), 5, torch.float32, 7, 2, 2**32 - 1, 64),
    ((9, 4, 8, 16), 2**20, torch.bfloat16, 2**31 + 5, 3, 0, 128),
    ((1, 1), 0, torch.float16, 0, 0, 1, 255),
    ((70, 33), 1, torch.float32, 1, 1, 1, 1),
]
for shape, first, dtype, step, layer, seed, threshold in CASES:
    clock, out = torch.tensor([step]), torch.empty(shape, dtype=dtype)
    fill(out, clock, (seed, dropout.PURPOSE), (layer, first), threshold)
    assert torch.equal(out, dropout.mask(out, clock, seed, layer, first, threshold)), (shape, first, step)
