"""TemporalAttention against its own projection and MultiHeadAttention.

Three Keras layers on the same input of width 256, forward and train step
(loss, gradients of the weights and of the input), in turn in one process:

- `TemporalAttention`, 128 units;
- `projection`: its matrix product alone, 256 to 128, without a bias;
- `MultiHeadAttention`, one head of width 256, pooled with a learned query.

The table of pytest-benchmark gives times; the ratios of medians, taken in
turn so that a drift of the machine's speed hits all alike, are printed and
stored in the JSON (`extra_info`).
"""

import keras
import numpy as np
import pytest

from benchmarks.timing import forward_and_train_step
from benchmarks.timing import medians_in_turn
from keras_seqattn.layers import TemporalAttention

WIDTH, BATCH = 256, 64
TARGETS = {"projection": 1.4, "MultiHeadAttention": 0.6}


class QueryPooling(keras.layers.Layer):
    """MultiHeadAttention from one learned query to the sequence."""

    def build(self, input_shape):
        self.query = self.add_weight(shape=(1, 1, WIDTH), name="query")
        self.attention = keras.layers.MultiHeadAttention(1, WIDTH)
        self.attention.build((None, 1, WIDTH), input_shape)

    def call(self, inputs):
        query = keras.ops.tile(self.query, (inputs.shape[0], 1, 1))
        return self.attention(query, inputs)[:, 0]


LAYERS = {
    "TemporalAttention": TemporalAttention,
    "projection": lambda: keras.layers.Dense(WIDTH // 2, use_bias=False),
    "MultiHeadAttention": QueryPooling,
}


@pytest.mark.parametrize("time_steps, rounds", [(20, 200), (512, 30)])
@pytest.mark.parametrize("mode", ["forward", "train step"])
def test_temporal_attention(benchmark, time_steps, rounds, mode):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(BATCH, time_steps, WIDTH)).astype("float32")
    functions = {
        name: forward_and_train_step(make(), inputs)[mode == "train step"]
        for name, make in LAYERS.items()
    }
    medians = medians_in_turn(functions, rounds, warm_up=5)
    ours = medians["TemporalAttention"]
    ratios = {
        f"ours / {name}": round(float(ours / medians[name]), 2)
        for name in TARGETS
    }
    benchmark.extra_info.update(ratios)
    print(
        f"\n{keras.backend.backend()}, ({BATCH}, {time_steps}, {WIDTH}), "
        f"{mode}: {1e3 * ours:.2f} ms, {ratios}, aims {TARGETS}"
    )
    benchmark.pedantic(functions["TemporalAttention"], rounds=5)
