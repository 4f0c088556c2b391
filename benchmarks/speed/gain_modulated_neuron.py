"""The additive network against a loop over neurons and steps.

A training step (loss and gradients of the weights) of `GainModulatedNeuron`
with 20 neurons and 7 features and of a readout, 200 sequences of 25 steps.
The peer does what the original does, with the same weights: it calls the
controller's cell once for every neuron and step, 500 times. Both are compiled
where the backend compiles; the loop is also run uncompiled, as the original
was.
"""

import keras
import numpy as np
from keras import ops

from benchmarks.timing import forward_and_train_step
from keras_seqattn.layers import GainModulatedNeuron

BATCH, TIME, FEATURES, UNITS = 200, 25, 7, 20


@keras.saving.register_keras_serializable(package="benchmarks")
class Network(keras.layers.Layer):
    """Neurons and their readout."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.neurons = GainModulatedNeuron(UNITS)
        self.readout = keras.layers.Dense(4)

    def build(self, shape):
        self.neurons.build(shape)
        self.readout.build((*shape[:2], UNITS))

    def call(self, x, training=None):
        return self.readout(self.neurons(x))


class LoopedNetwork(Network):
    """The same, neuron by neuron and step by step."""

    def call(self, x, training=None):
        cell = self.neurons.cell
        zeros = [ops.zeros((x.shape[0], 64))] * 2
        states = [zeros] * UNITS
        gains = [ops.ones((x.shape[0],))] * UNITS
        outputs = []
        for step in range(x.shape[1]):
            activity = []
            for n in range(UNITS):
                a = ops.matmul(x[:, step], cell.kernel[:, n]) + cell.bias[n]
                y = gains[n] * ops.softplus(a - 1)
                hidden, states[n] = cell.network.cell(a[:, None], states[n])
                raw = ops.matmul(hidden, cell.head_kernel) + cell.head_bias
                gains[n] = 1 + raw[:, 0]
                activity.append(y)
            outputs.append(self.readout(ops.stack(activity, axis=-1)))
        return ops.stack(outputs, axis=1)


def train_steps():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")

    def step(layer, compiled=True):
        return forward_and_train_step(layer, x, False, compiled)[1]

    ways = {
        "GainModulatedNeuron": step(Network()),
        "the loop": step(LoopedNetwork(), compiled=False),
    }
    if keras.backend.backend() != "torch":
        ways["the loop, compiled"] = step(LoopedNetwork())
    return ways


CASES = {"20 neurons, 200 sequences of 25 steps": train_steps}
