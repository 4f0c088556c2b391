"""Small images and a small network, for the tests of this folder."""

import dataclasses

import numpy as np

from keras_seqattn.learning_rules import RECIPE
from keras_seqattn.learning_rules import LabelledImages

UNITS, PIXELS = [5, 4, 3], 6
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(8, PIXELS)).astype("float32")
LABELS = RANDOM.integers(3, size=8)
Y = np.eye(3, dtype="float32")[LABELS]


def recipe(epochs):
    return dataclasses.replace(RECIPE, epochs=epochs, batch_size=8)


def images(count=40, test=8):
    """Three classes that one pixel each tells apart.

    In batches of 8 every batch is full, which spares compilations.
    """
    random = np.random.default_rng(1)
    y = random.integers(3, size=count + test)
    x = 0.2 * random.uniform(size=(count + test, PIXELS))
    x[np.arange(len(y)), y] += 0.8
    return LabelledImages(x[:count], y[:count], x[count:], y[count:], "three")
