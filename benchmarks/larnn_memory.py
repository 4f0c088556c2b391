"""Peak memory of a train step of LARNN, on this backend.

python benchmarks/larnn_memory.py

Batch 64, 9 features, 64 units, 8 heads; each case in a process of its own.
Printed: MiB by which the peak of the process grew over what it held after
building the layer and one step on a sequence of 8 steps.
"""

import os
import pathlib
import resource
import subprocess
import sys

CASES = [
    (layer, window, time)
    for layer in ("LARNN", "LSTM")
    for window in ((10, 40) if layer == "LARNN" else (0,))
    for time in (1024, 4096)
]


def measure(layer: str, window: int, time: int) -> float:
    if os.environ.get("KERAS_BACKEND") == "torch":
        import torch  # noqa: F401  before TensorFlow
    import keras
    import numpy as np

    from benchmarks.timing import forward_and_train_step
    from keras_seqattn.layers import LARNN

    def step(time: int) -> None:
        made = (
            LARNN(64, 8, window) if layer == "LARNN" else keras.layers.LSTM(64)
        )
        x = np.zeros((64, time, 9), "float32")
        forward_and_train_step(made, x, input_gradient=False)[1]()

    step(8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(time)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) / 1024


def main() -> None:
    root = str(pathlib.Path(__file__).parents[1])
    for case in CASES:
        done = subprocess.run(  # noqa: S603
            [sys.executable, __file__, *map(str, case)],
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        )
        layer, window, time = case
        what = f"{layer} window {window}" if window else layer
        print(f"{what}, {time} steps: {float(done.stdout):.0f} MiB", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
