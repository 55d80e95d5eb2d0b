"""The factors of dropout as one Triton kernel: the numbers of dropout.py, drawn on the GPU, one launch per layer."""

import torch
import triton
import triton.language as tl
from torch import Tensor

COUNTERS = 256  # of 32 entries each, per program


@triton.jit
def philox(c0, c1, c2, c3, k0, k1):  # noqa: PLR0917
    """Philox4x64-10 of uint64 counters and keys, as numpy.random.Philox computes it."""
    for _ in tl.static_range(10):
        high0, low0 = tl.umulhi(c0, 0xD2E7470EE14C6C93), c0 * 0xD2E7470EE14C6C93
        high2, low2 = tl.umulhi(c2, 0xCA5A826395121157), c2 * 0xCA5A826395121157
        c0, c1, c2, c3 = high2 ^ c1 ^ k0, low2, high0 ^ c3 ^ k1, low0
        k0 += 0x9E3779B97F4A7C15
        k1 += 0xBB67AE8584CAA73B
    return c0, c1, c2, c3


@triton.jit(do_not_specialize=["seed", "purpose", "layer", "start"])
def factors_kernel(  # noqa: PLR0917
    out, clock, seed, purpose, layer, start, length, blocks, total, threshold, scale, size: tl.constexpr
):
    """Fill (rows, length) with 0 where a byte is below `threshold`, else `scale`; `start`: the first counter.

    `blocks`: counters of a row; `total`: those of all rows.
    """
    number = tl.program_id(0).to(tl.int64) * size + tl.arange(0, size)
    counter = (number + start).to(tl.uint64)
    zero = tl.zeros_like(counter)
    step = tl.load(clock).to(tl.uint64)
    w0, w1, w2, w3 = philox(counter, zero + layer, zero + step, zero, zero + seed, zero + purpose)
    words = tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (size, 4))  # w0, w1, w2, w3
    byte = tl.arange(0, 8)
    drawn = (words[:, :, None] >> (8 * byte)[None, None, :].to(tl.uint64)) & 255
    entry = (number % blocks)[:, None, None] * 32 + (8 * tl.arange(0, 4))[None, :, None] + byte[None, None, :]
    target = (number // blocks)[:, None, None] * length + entry
    inside = (entry < length) & (number < total)[:, None, None]
    tl.store(out + target, tl.where(drawn >= threshold, scale, 0.0), inside)


def fill(out: Tensor, clock: Tensor, key: tuple[int, int], stream: tuple[int, int], threshold: int) -> None:
    """Fill contiguous (B, ...) `out`. key: seed and purpose; stream: layer, and number of the first row."""
    rows, length = len(out), out[0].numel()
    blocks = triton.cdiv(length, 32)
    total, (layer, first) = rows * blocks, stream
    with torch.cuda.device(out.device):
        factors_kernel[(triton.cdiv(total, COUNTERS),)](
            out,
            clock,
            *key,
            layer,
            first * blocks + 1,
            length,
            blocks,
            total,
            threshold,
            256 / (256 - threshold),
            COUNTERS,
        )
