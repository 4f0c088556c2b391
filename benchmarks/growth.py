"""How the train step of a LARNN grows: fitted exponents.

KERAS_BACKEND=jax python -m benchmarks.growth [--rounds 5] [--short]

One of length, batch, window and width is changed at a time; the others stay
at 256 steps, 32 sequences, a window of 16 and 64 units with 8 heads. Times are
of CPU, medians, of the loss and the gradient of the weights. The exponent is
the slope of log time over log size, of all sizes and of the largest two.
`--short` leaves out the largest sizes.
"""

import argparse
import time

import keras
import numpy as np

from benchmarks.timing import forward_and_train_step
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.layers import LARNN

BASE = {"length": 256, "batch": 32, "window": 16, "width": 64}
SIZES = {
    "length": [128, 256, 512, 1024, 2048, 4096],
    "batch": [1, 8, 32, 128, 512],
    "window": [1, 4, 16, 40, 120],
    "width": [32, 64, 128, 256],
}


def seconds(rounds, length, batch, window, width):
    """Median CPU seconds of a train step."""
    layer = LARNN(width, num_heads=8, window_size=window)
    x = np.random.default_rng(0).normal(size=(batch, length, 9))
    _, step = forward_and_train_step(
        layer, x.astype("float32"), input_gradient=False
    )
    step()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return float(np.median(times))


def exponent(sizes, times):
    """Slope of log time over log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true")
    given = parser.parse_args()
    rows = []
    for name, sizes in SIZES.items():
        sizes = sizes[: -2 if given.short else None]
        times = [
            seconds(given.rounds, **{**BASE, name: size}) for size in sizes
        ]
        measured = (
            f"{size}: {1e3 * own:.0f}"
            for size, own in zip(sizes, times, strict=True)
        )
        fits = exponent(sizes, times), exponent(sizes[-2:], times[-2:])
        rows.append([name, ", ".join(measured), *(f"{e:.2f}" for e in fits)])
        print(*rows[-1], sep=" | ", flush=True)
    backend = keras.backend.backend()
    head = [backend, "size: ms", "exponent", "of the largest two"]
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
