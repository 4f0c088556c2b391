"""TemporalAttention of 128 units on 64 sequences of width 256.

Forward, and train step (gradients of the weights and of the input), beside
its own matrix product without a bias, and beside MultiHeadAttention, one head
of width 256, pooled with a learned query.
"""

import functools

import keras
import numpy as np

from benchmarks.timing import forward_and_train_step
from keras_seqattn.layers import TemporalAttention

WIDTH, BATCH = 256, 64


class QueryPooling(keras.layers.Layer):
    """MultiHeadAttention from one learned query to the sequence."""

    def build(self, input_shape):
        self.query = self.add_weight(shape=(1, 1, WIDTH), name="query")
        self.attention = keras.layers.MultiHeadAttention(1, WIDTH)
        self.attention.build((None, 1, WIDTH), input_shape)

    def call(self, inputs, training=None):
        query = keras.ops.tile(self.query, (inputs.shape[0], 1, 1))
        return self.attention(query, inputs)[:, 0]


LAYERS = {
    "TemporalAttention": TemporalAttention,
    "its matrix product": lambda: keras.layers.Dense(
        WIDTH // 2, use_bias=False
    ),
    "MultiHeadAttention": QueryPooling,
}


def calls(time, train):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(BATCH, time, WIDTH)).astype("float32")
    return {
        name: forward_and_train_step(make(), inputs)[train]
        for name, make in LAYERS.items()
    }


CASES = {
    f"{time} steps, {mode}": functools.partial(calls, time, train)
    for time in (20, 512)
    for train, mode in enumerate(("forward", "train step"))
}
