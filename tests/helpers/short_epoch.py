"""Steps of an epoch on the null GPU: two whole batches, then one of one row."""

import sys

from benchmarks.launches import batch_of, make_step
from leafdist.data.plan import EpochPlan

step, runtime, config = make_step(sys.argv[1:])
size = config.train.batch_size
shares = EpochPlan(2 * size + 1, size, 0, 0).shares(runtime.rank, runtime.world, 0)
for number, share in enumerate(shares):
    step(number, batch_of(share, int(config.data.resize), runtime))
runtime.close()
