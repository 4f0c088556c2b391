"""Write what layers of random settings give, in float64.

    KERAS_BACKEND=tensorflow python -m tests.golden.make_random_settings

TensorFlow alone computes them in float64, whose rounding is none to the
float32 of the tests.
"""

import argparse
import pathlib

import keras
import numpy as np

from tests.layers import random_settings

FILE = pathlib.Path(__file__).with_name("random_settings.npz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=random_settings.COUNT)
    parser.add_argument("--seed", type=int, default=random_settings.SEED)
    parser.add_argument("--file", type=pathlib.Path, default=FILE)
    arguments = parser.parse_args()
    if keras.backend.backend() != "tensorflow":
        parser.error("the reference is computed with KERAS_BACKEND=tensorflow")
    found = {}
    for number in range(arguments.count):
        setting = random_settings.draw(number, arguments.seed)
        results = random_settings.results(setting, "float64")
        # All of a setting in one array: a file of few parts is small.
        found[f"{number}"] = np.concatenate(
            [x.astype("float32").ravel() for x in results]
        )
        found[f"{number}/drawn"] = np.array(random_settings.drawn(setting))
    np.savez_compressed(arguments.file, **found)


if __name__ == "__main__":
    main()
