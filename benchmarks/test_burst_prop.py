"""A training step by bursts against one by backpropagation.

The same network twice: `BurstPropNetwork`, and the same layers in a
`keras.Sequential`, which differentiates them. SGD with momentum, batches of
32, an epoch of `fit` in turn in one process. The aim is 1.2 on TensorFlow and
JAX.
"""

import keras
import numpy as np
import pytest

from benchmarks.timing import medians_in_turn
from keras_seqattn.layers import BurstPropDense
from keras_seqattn.models import BurstPropNetwork

STEPS, BATCH = 50, 32
NETWORKS = {
    "digits": (64, [100, 100, 10]),
    "MNIST": (784, [500, 500, 500, 10]),
}
RULES = {
    "random": {},
    "tied": {"feedback": "tied"},
    "kolen_pollack": {"feedback": "kolen_pollack"},
    "recurrent": {"recurrent": True},
}


def epoch(model, features, outputs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, features)).astype("float32")
    y = np.eye(outputs, dtype="float32")[rng.integers(outputs, size=len(x))]
    model.compile(keras.optimizers.SGD(0.01, 0.9), "mse")
    return lambda: model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_step_over_backprop(network, benchmark):
    features, units = NETWORKS[network]
    models = {
        "backprop": keras.Sequential(
            [BurstPropDense(width, feedback="tied") for width in units]
        ),
        **{name: BurstPropNetwork(units, **r) for name, r in RULES.items()},
    }
    functions = {
        name: epoch(model, features, units[-1])
        for name, model in models.items()
    }
    medians = medians_in_turn(functions, rounds=5)
    ratios = {
        name: round(seconds / medians["backprop"], 2)
        for name, seconds in medians.items()
    }
    benchmark.extra_info.update(ratios)
    print(
        f"\n{keras.backend.backend()}, {network}: backprop "
        f"{1e3 * medians['backprop'] / STEPS:.2f} ms a step, "
        f"over backprop {ratios}, aim: random 1.2"
    )
    benchmark.pedantic(functions["random"], rounds=1)
