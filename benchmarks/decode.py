"""Photos per second of one core's time, and their pixels: python benchmarks/decode.py FOLDER OUT.npy [COMPARE].

In an environment with Pillow, then in one with Pillow-SIMD; COMPARE is the other one's OUT.npy. Numpy and PIL only.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from leafdist.data.decode import DECODER, decode

COUNT, SIDE = 1000, 64


def main() -> None:
    photos = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    photos = photos[:: max(1, len(photos) // COUNT)]
    pixels = np.stack([decode(photo, SIDE) for photo in photos])  # and warms the page cache
    began = time.process_time()
    for photo in photos:
        decode(photo, SIDE)
    print(f"{DECODER}: {len(photos) / (time.process_time() - began):.0f} photos/s of {len(photos)}")
    np.save(sys.argv[2], pixels)
    if len(sys.argv) > 3:
        apart = np.abs(pixels.astype(int) - np.load(sys.argv[3]))
        same = (apart.reshape(len(apart), -1) == 0).all(1).mean()
        print(f"{same:.1%} of photos equal byte for byte", end="; ")
        print(f"pixels differ by {apart.max()} at most, {apart.mean():.4f} on average")


if __name__ == "__main__":
    main()
