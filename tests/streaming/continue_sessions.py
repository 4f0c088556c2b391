"""Go on with saved sessions, in a process of its own.

Reads from the folder in the first argument, for each `NAME.keras`, the state
`NAME.npz` and the steps `NAME.steps.npz` (x, mask), and writes the outputs to
`NAME.outputs.npy`.
"""

import pathlib
import sys

import keras
import numpy as np

import keras_seqattn as ks


def main():
    for model in pathlib.Path(sys.argv[1]).glob("*.keras"):
        steps = np.load(model.with_suffix(".steps.npz"))
        session = ks.streaming.StreamingSession(
            keras.saving.load_model(model), batch=len(steps["x"])
        )
        session.load(model.with_suffix(".npz"))
        pairs = zip(
            steps["x"].swapaxes(0, 1), steps["mask"].swapaxes(0, 1), strict=True
        )
        outputs = [session.push(x, mask) for x, mask in pairs]
        np.save(model.with_suffix(".outputs.npy"), np.stack(outputs, 1))


if __name__ == "__main__":
    main()
