"""LARNN against keras.layers.LSTM of the same width, its cell, and the naive.

Forward and train step (loss and gradients of the weights), in turn in one
process:

- `LARNN`, with positions; also without, and with "layer" normalization;
- `RNN(LARNNCell)`, the same numbers by autodiff;
- `RNN(NaiveCell)`, which projects its whole window anew at every step, as the
  original does;
- `keras.layers.LSTM`.

Printed: the median of LARNN in milliseconds, and all medians over LSTM's.
"""

import keras
import numpy as np
import pytest
from keras import ops

from benchmarks.timing import forward_and_train_step
from benchmarks.timing import medians_in_turn
from keras_seqattn.layers import LARNN
from keras_seqattn.layers import LARNNCell
from keras_seqattn.layers._larnn.settings import with_constants
from keras_seqattn.layers._larnn.step import drive
from keras_seqattn.layers._larnn.step import step
from keras_seqattn.layers._larnn.window import EMPTY
from keras_seqattn.layers._larnn.window import finish_rows

# Batch, time, features, units, heads, window; rounds.
CASES = {
    "A": ((64, 128, 9, 32, 8, 10), 15),
    "B": ((64, 128, 9, 128, 8, 30), 7),
    "C": ((64, 1024, 9, 64, 8, 16), 3),
}
AIMS = {
    ("jax", "A"): 6,
    ("jax", "B"): 5.5,
    ("jax", "C"): 3.2,
    ("tensorflow", "A"): 4,
    ("tensorflow", "B"): 6,
    ("torch", "A"): 1.2,
    ("torch", "B"): 1.4,
}


@keras.saving.register_keras_serializable(package="benchmarks")
class NaiveCell(LARNNCell):
    """Keeps the cells themselves, and projects them all at every step."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.state_size[2] = self.window_size * self.units

    def call(self, inputs, states, training=False):
        settings = self.settings()
        w = with_constants(self.tensors(), settings)
        hidden, _, cells, filled = states
        shape = (-1, self.window_size, self.units)
        cells = ops.transpose(ops.reshape(cells, shape), (1, 0, 2))
        rows = cells @ w.key_value_kernel
        newest = ops.ones_like(filled[:, :1])
        filled = ops.concatenate([filled[:, :-1], newest], axis=1)
        empty = ops.transpose((filled - 1) * -EMPTY)[..., None]
        done = step(
            w,
            settings,
            drive(w, inputs),
            hidden,
            cells[-1],
            finish_rows(w, settings, rows),
            empty,
        )
        cells = ops.concatenate([cells[1:], done.cell[None]], axis=0)
        cells = ops.transpose(cells, (1, 0, 2))
        flat = ops.reshape(cells, (-1, self.state_size[2]))
        filled = ops.concatenate([filled[:, 1:], newest], axis=1)
        return done.hidden, [done.hidden, done.cell, flat, filled]


def layers(units, heads, window):
    sizes = (units, heads, window)
    return {
        "LARNN": lambda: LARNN(*sizes),
        "LSTM": lambda: keras.layers.LSTM(units),
        "no positions": lambda: LARNN(*sizes, use_positional_encoding=False),
        "layer norm": lambda: LARNN(*sizes, normalization="layer"),
        "layer norm, no positions": lambda: LARNN(
            *sizes, use_positional_encoding=False, normalization="layer"
        ),
        "RNN(LARNNCell)": lambda: keras.layers.RNN(LARNNCell(*sizes)),
        "RNN(NaiveCell)": lambda: keras.layers.RNN(NaiveCell(*sizes)),
    }


def test_the_naive_cell_gives_the_same():
    x = np.random.default_rng(0).normal(size=(3, 9, 4)).astype("float32")
    made = layers(8, 2, 5)
    ours, naive = made["LARNN"](), made["RNN(NaiveCell)"]()
    expected = ops.convert_to_numpy(ours(x))
    naive.build(x.shape)
    naive.set_weights(ours.get_weights())
    np.testing.assert_allclose(
        ops.convert_to_numpy(naive(x)), expected, atol=1e-5
    )


@pytest.mark.parametrize("mode", ["forward", "train step"])
@pytest.mark.parametrize("case", CASES)
def test_larnn(benchmark, case, mode):
    (batch, time, features, *sizes), rounds = CASES[case]
    backend = keras.backend.backend()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, time, features)).astype("float32")
    functions = {
        name: forward_and_train_step(make(), x, input_gradient=False)[
            mode == "train step"
        ]
        for name, make in layers(*sizes).items()
        # Minutes a step, and nothing that A and B do not show.
        if not (case == "C" and name.startswith("RNN"))
    }
    medians = medians_in_turn(functions, rounds)
    lstm = medians["LSTM"]
    ratios = {name: round(s / lstm, 2) for name, s in medians.items()}
    benchmark.extra_info.update(ratios)
    aim = AIMS.get((backend, case)) if mode == "train step" else None
    print(
        f"\n{backend} {case} {mode}: LARNN {1e3 * medians['LARNN']:.1f} ms, "
        f"over LSTM {ratios}" + (f", aim {aim}" if aim else "")
    )
    benchmark.pedantic(functions["LARNN"], rounds=1)
