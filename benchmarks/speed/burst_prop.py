"""A training step by bursts against one by backpropagation.

The same network twice: `BurstPropNetwork`, and the same layers in a
`keras.Sequential`, which differentiates them. SGD with momentum, an epoch of
`fit` of 50 batches of 32.
"""

import functools

import keras
import numpy as np

from keras_seqattn.layers import BurstPropDense
from keras_seqattn.models import BurstPropNetwork

STEPS, BATCH = 50, 32
RULES = {
    "bursts, random feedback": {"feedback": "random"},
    "bursts, tied": {"feedback": "tied"},
    "bursts, Kolen-Pollack": {"feedback": "kolen_pollack"},
    "bursts, recurrent": {"recurrent": True},
}


def epochs(features, *units):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, features)).astype("float32")
    y = np.eye(units[-1], dtype="float32")[rng.integers(units[-1], size=len(x))]
    models = {
        **{name: BurstPropNetwork(units, **r) for name, r in RULES.items()},
        "backpropagation": keras.Sequential(
            [BurstPropDense(width, feedback="tied") for width in units]
        ),
    }

    def epoch(model):
        model.compile(keras.optimizers.SGD(0.01, 0.9), "mse")
        return functools.partial(
            model.fit, x, y, batch_size=BATCH, shuffle=False, verbose=0
        )

    return {name: epoch(model) for name, model in models.items()}


CASES = {
    "64-100-100-10": functools.partial(epochs, 64, 100, 100, 10),
    "784-500-500-500-10": functools.partial(epochs, 784, 500, 500, 500, 10),
}
