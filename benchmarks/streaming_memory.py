"""Memory over a million pushes, on this backend.

    python benchmarks/streaming_memory.py [pushes]

A small decoder, one stream, one step in twenty missing. Printed after every
tenth: the resident memory of the process, and how many objects Python holds.
"""

import gc
import os
import resource
import sys
import time

if os.environ.get("KERAS_BACKEND") == "torch":
    import torch

    torch.set_num_threads(1)
import keras
import numpy as np

import keras_seqattn as ks

WARM_UP = 1000


def resident_mib() -> float:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except FileNotFoundError:  # not Linux: the peak, which may not grow either
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(pushes: int = 1_000_000) -> None:
    inputs = keras.Input((None, 10), name="counts")
    x = keras.layers.GRU(16, return_sequences=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    session = ks.streaming.StreamingSession(ks.streaming.step_model(model))
    counts = np.random.default_rng(0).poisson(1.0, size=(100, 10))
    for number in range(WARM_UP):
        session.push(counts[number % 100])
    start = time.perf_counter()
    for number in range(pushes + 1):
        if number % (pushes // 10) == 0:
            gc.collect()
            print(
                f"{keras.backend.backend()} {number:>9,} pushes: "
                f"{resident_mib():.1f} MiB, {len(gc.get_objects()):,} objects, "
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
        session.push(None if number % 20 == 0 else counts[number % 100])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
