"""A shuffle of any size of which every part can be computed alone, without drawing or storing the rest.

A generalised Feistel network over a x b >= n positions, walked until it falls below n: Black and Rogaway 2002, "Ciphers
with arbitrary finite domains". The round function is splitmix64's finaliser (Steele et al. 2014).
"""

import math

import numpy as np
from numpy.typing import NDArray

ROUNDS = 12  # even; with fewer the orders of five samples are not equally likely (tests/data/test_plan.py)


class Shuffle:
    """A bijection of range(size), chosen by `key`, two uint64.

    >>> Shuffle(5, np.array([1, 2], np.uint64))(np.arange(5)).tolist()
    [4, 1, 0, 3, 2]
    """

    def __init__(self, size: int, key: NDArray[np.uint64]) -> None:
        assert size > 0
        self.size = size
        self.left = math.isqrt(size - 1) + 1
        self.right = -(-size // self.left)
        self.keys = np.random.Philox(key=key).random_raw(ROUNDS)

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the samples at `positions` of the shuffled order, (n,) -> (n,)."""
        values = self._network(positions.astype(np.uint64))
        while len(outside := np.flatnonzero(values >= self.size)):
            values[outside] = self._network(values[outside])
        return values.astype(np.int64)

    def _network(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        moduli: NDArray[np.uint64] = np.array([self.left, self.right], np.uint64)
        high, low = values // moduli[0], values % moduli[0]
        for number, key in enumerate(self.keys):
            low, high = high, (low + scramble(high + key)) % moduli[number % 2]
        mixed: NDArray[np.uint64] = high * moduli[0] + low
        return mixed


def scramble(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a number for each of `x`, (n,) -> (n,), that looks drawn at random: splitmix64's finaliser."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
