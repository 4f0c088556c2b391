"""Load a `.keras` file and predict: python -m tests.load_model M X OUT."""

import sys

import keras
import numpy as np

import keras_seqattn  # noqa: F401  registers the layers


def main(model_path, inputs_path, outputs_path):
    model = keras.saving.load_model(model_path)
    outputs = model.predict(np.load(inputs_path), verbose=0)
    np.savez(
        outputs_path,
        backend=keras.backend.backend(),
        **{
            f"output_{i}": output
            for i, output in enumerate(keras.tree.flatten(outputs))
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
