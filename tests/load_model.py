"""Load `.keras` files and predict, in a process of its own.

Reads a JSON line (model, inputs, outputs: paths) from the standard input for
each file, and answers with one: empty, or what went wrong.
"""

import json
import sys
import traceback

import keras
import numpy as np

import keras_seqattn  # noqa: F401  registers the layers


def predict(model, inputs, outputs):
    found = keras.saving.load_model(model).predict(np.load(inputs), verbose=0)
    np.savez(
        outputs,
        backend=keras.backend.backend(),
        **{
            f"output_{i}": output
            for i, output in enumerate(keras.tree.flatten(found))
        },
    )


def main():
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            predict(*json.loads(line))
            error = ""
        except Exception:
            error = traceback.format_exc()
        print(json.dumps(error), file=answers, flush=True)


if __name__ == "__main__":
    main()
