"""Run a SavedModel on stored inputs, with TensorFlow alone.

`export.py` runs this file in a fresh process to prove that an artifact needs
neither Keras nor this package:

    python serve_saved_model.py SAVED_MODEL INPUTS.npz OUTPUTS.npz
"""

import sys

import numpy as np
import tensorflow as tf


def main(directory: str, inputs_path: str, outputs_path: str) -> None:
    """Load, run on the arrays in the order of their names, store."""
    served = tf.saved_model.load(directory)
    with np.load(inputs_path, allow_pickle=False) as file:
        inputs = [tf.constant(file[key]) for key in sorted(file.keys())]
    outputs = tf.nest.flatten(
        served.serve(inputs[0] if len(inputs) == 1 else inputs)
    )
    np.savez(
        outputs_path,
        **{f"{i:03d}": output.numpy() for i, output in enumerate(outputs)},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
