"""A twin that would give other numbers is never handed out."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_seqattn.streaming import StreamingSession
from keras_seqattn.streaming import step_model
from tests.backend import to_numpy
from tests.streaming import cases

FEATURES = cases.FEATURES


def of(function):
    inputs = keras.Input((None, FEATURES), name="signal")
    return keras.Model(inputs, function(inputs))


def far(**settings):
    return layers.Conv1D(3, 3, **settings)


class Gate(layers.Layer):
    """Adds what it sees of all steps, at first nothing of it."""

    def build(self, shape):
        self.gate = self.add_weight(shape=(), initializer="zeros")

    def call(self, x):
        return x + self.gate * ops.mean(x, axis=1, keepdims=True)


class Count(layers.Layer):
    def build(self, shape):
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False
        )

    def call(self, x):
        self.calls.assign_add(1.0)
        return x


class Twice(layers.LSTM):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        return 2 * super().call(sequences, initial_state, mask, training)


REFUSED = {
    "same": lambda x: far(padding="same", dilation_rate=4)(x),
    "further_than_usual": lambda x: far(padding="same", dilation_rate=300)(x),
    "last_steps": lambda x: layers.LSTM(3)(x[:, -5:]),
    "first_steps": lambda x: layers.LSTM(3)(x[:, :6]),
    "closed_gate": lambda x: layers.LSTM(3)(Gate()(x)),
    "own_call": lambda x: Twice(3)(x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_wrong_is_refused(name):
    with pytest.raises(ValueError, match="cannot be run step by step"):
        step_model(of(REFUSED[name]))


def test_convolutions_of_a_nested_model():
    block = keras.Sequential(
        [far(padding="causal", dilation_rate=4), layers.ReLU()]
    )
    model = of(lambda x: block(x))
    x = np.random.default_rng(0).normal(size=(2, 24, 3)).astype("float32")
    session = StreamingSession(step_model(model), batch=2)
    found = np.stack([session.push(x[:, t]) for t in range(24)], axis=1)
    np.testing.assert_allclose(found, to_numpy(model(x)), atol=1e-5)


def test_zeros_where_masked():
    def masked(x):
        return layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)(
            layers.Masking()(x)
        )

    model = of(masked)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 24, 3)).astype("float32")
    x[rng.random((2, 24)) < 0.4] = 0
    session = StreamingSession(step_model(model), batch=2)
    found = np.stack([session.push(x[:, t]) for t in range(24)], axis=1)
    np.testing.assert_allclose(found, to_numpy(model(x)), atol=1e-5)


def test_the_model_stays_as_it_was():
    def counted(x):
        x = Count()(x)
        return layers.BatchNormalization()(x, training=True)

    model = of(counted)
    before = [to_numpy(v.value) for v in model.variables]
    with pytest.raises(ValueError, match="cannot be run step by step"):
        step_model(model)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(variable.value), old)
