"""Go on with a saved session, in a process of its own.

Reads `step.keras`, `state.npz` and `steps.npz` (x, mask) from the folder in
the first argument, and writes the outputs to `outputs.npz`.
"""

import pathlib
import sys

import keras
import numpy as np

import keras_seqattn as ks


def main():
    folder = pathlib.Path(sys.argv[1])
    with np.load(folder / "steps.npz") as steps:
        x, mask = steps["x"].swapaxes(0, 1), steps["mask"].swapaxes(0, 1)
    step = keras.saving.load_model(folder / "step.keras")
    session = ks.streaming.StreamingSession(step, batch=x.shape[1])
    session.load(folder / "state.npz")
    found = [session.push(*pair) for pair in zip(x, mask, strict=True)]
    outputs = {
        name: np.stack([outputs[name] for outputs in found], axis=1)
        for name in found[0]
    }
    np.savez(folder / "outputs.npz", **outputs)


if __name__ == "__main__":
    main()
