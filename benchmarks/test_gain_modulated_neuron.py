"""The additive network against a loop over neurons and steps.

A training step (loss and gradients of the weights) of `GainModulatedNeuron`
with 20 neurons and 7 features and of a readout, 200 sequences of 25 steps.
The peer does what the original does, with the same weights: it calls the
controller's cell once for every neuron and step, 500 times. Both are compiled
where the backend compiles; the loop is also run uncompiled, as the original
was. In turn in one process.
"""

import keras
import numpy as np
from keras import ops

from benchmarks.timing import forward_and_train_step
from benchmarks.timing import medians_in_turn
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

    def call(self, x):
        return self.readout(self.neurons(x))


class LoopedNetwork(Network):
    """The same, neuron by neuron and step by step."""

    def call(self, x):
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


def inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def test_the_loop_gives_the_same():
    x = inputs()[:3]
    ours, loop = Network(), LoopedNetwork()
    ours.build(x.shape)
    loop.build(x.shape)
    rng = np.random.default_rng(1)
    weights = [0.3 * rng.normal(size=w.shape) for w in ours.weights]
    ours.set_weights(weights)
    loop.set_weights(weights)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours(x)),
        ops.convert_to_numpy(loop(x)),
        atol=1e-5,
    )


def test_additive_network(benchmark):
    x = inputs()
    ours = forward_and_train_step(Network(), x, input_gradient=False)[1]
    functions = {
        "ours": ours,
        "compiled loop": forward_and_train_step(
            LoopedNetwork(), x, input_gradient=False
        )[1],
        "loop": forward_and_train_step(
            LoopedNetwork(), x, input_gradient=False, compiled=False
        )[1],
    }
    if keras.backend.backend() == "torch":
        del functions["compiled loop"]
    medians = medians_in_turn(functions, rounds=3)
    ratios = {
        name: round(seconds / medians["ours"], 1)
        for name, seconds in medians.items()
    }
    benchmark.extra_info.update(ratios)
    print(
        f"\n{keras.backend.backend()}: train step {1e3 * medians['ours']:.0f} "
        f"ms, over ours {ratios}, aim: loop 20"
    )
    benchmark.pedantic(ours, rounds=1)
