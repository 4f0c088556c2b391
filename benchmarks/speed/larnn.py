"""Train step of LARNN: loss and gradients of the weights.

Beside it keras.layers.LSTM of the same width; `RNN(LARNNCell)`, the same
numbers by autodiff; and `RNN(NaiveCell)`, which projects its whole window anew
at every step, as the original does.
"""

import functools

import keras
import numpy as np
from keras import ops

from benchmarks.timing import forward_and_train_step
from keras_seqattn.layers import LARNN
from keras_seqattn.layers import LARNNCell

# Batch, time, features, units, heads, window.
SIZES = {
    "A, 128 steps, 32 units, window 10": (64, 128, 9, 32, 8, 10),
    "B, 128 steps, 128 units, window 30": (64, 128, 9, 128, 8, 30),
    "C, 1024 steps, 64 units, window 16": (64, 1024, 9, 64, 8, 16),
}


@keras.saving.register_keras_serializable(package="benchmarks")
class NaiveCell(keras.layers.Layer):
    """Keeps the cells themselves, and projects them all at every step."""

    def __init__(self, units, num_heads, window_size, **kwargs):
        super().__init__(**kwargs)
        self.cell = LARNNCell(units, num_heads, window_size)
        self.state_size = [units, units, window_size * units, window_size]

    def build(self, shape):
        self.cell.build(shape)

    def call(self, inputs, states):
        hidden, cell, cells, filled = states
        units, size = hidden.shape[-1], filled.shape[-1]
        kernels = [self.cell.key_kernel, self.cell.value_kernel]
        rows = ops.reshape(cells, (-1, size, units))
        rows = ops.matmul(rows, ops.concatenate(kernels, axis=1))
        rows = ops.reshape(rows, (-1, size * 2 * units))
        output, (hidden, cell, _, filled) = self.cell(
            inputs, [hidden, cell, rows, filled]
        )
        cells = ops.concatenate([cells[:, units:], cell], axis=1)
        return output, [hidden, cell, cells, filled]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size)) for size in self.state_size]


def layers(*sizes):
    return {
        "LARNN": lambda: LARNN(*sizes),
        "keras LSTM": lambda: keras.layers.LSTM(sizes[0]),
        "`RNN(LARNNCell)`": lambda: keras.layers.RNN(LARNNCell(*sizes)),
        "its window projected anew": lambda: keras.layers.RNN(
            NaiveCell(*sizes)
        ),
    }


def train_steps(batch, time, features, units, *rest):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, time, features)).astype("float32")
    return {
        name: forward_and_train_step(make(), x, input_gradient=False)[1]
        for name, make in layers(units, *rest).items()
        # Slow, and the larger ones show nothing else.
        if units == 32 or name in ("LARNN", "keras LSTM")
    }


CASES = {
    name: functools.partial(train_steps, *sizes)
    for name, sizes in SIZES.items()
}
