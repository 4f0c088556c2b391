import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export.named_model import NamedModel
from tests.export import models


def shapes(named):
    return {name: spec.shape for name, spec in named.inputs.items()}


def test_a_functional_model_has_its_own_names():
    named = NamedModel(models.decoder())
    assert shapes(named) == {"spikes": (None, None, 5)}
    assert named.outputs == ["decoded"]
    assert named.pack({"spikes": 3}) == 3
    assert named.name(4) == {"decoded": 4}
    assert not named.is_step
    fixed = NamedModel(models.decoder(), batch_size=2, timesteps=7)
    assert shapes(fixed) == {"spikes": (2, 7, 5)}
    # A length that the model has is not changed.
    assert shapes(NamedModel(models.decoder(6), timesteps=7)) == {
        "spikes": (None, 6, 5)
    }


def test_dictionaries_keep_their_keys_in_order():
    named = NamedModel(models.step())
    assert list(named.inputs) == ["x", "state"]
    assert named.outputs == ["y", "next_state"]
    assert named.pack({"state": 1, "x": 2}) == {"x": 2, "state": 1}
    assert named.name({"next_state": 1, "y": 2}) == {"y": 2, "next_state": 1}
    assert named.is_step


def test_lists_and_names_that_no_format_takes():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b-1")
    twice = keras.layers.Dense(3, name="c d")
    model = keras.Model([a, b], [twice(a), twice(b), a])
    named = NamedModel(model)
    assert list(named.inputs) == ["a", "b_1"]
    assert named.outputs == ["c_d", "c_d_again", "a_out"]
    assert named.pack({"a": 1, "b_1": 2}) == [1, 2]


def test_sequential_and_models_that_are_classes():
    model = keras.Sequential(
        [keras.Input((3,), name="in"), keras.layers.Dense(2, name="out")]
    )
    named = NamedModel(model)
    assert (list(named.inputs), named.outputs) == (["in"], ["out"])
    network = ks.models.BurstPropNetwork([4, 2])
    network(np.zeros((2, 3), "float32"))
    named = NamedModel(network)
    assert shapes(named) == {"input": (None, 3)}
    assert named.outputs == ["output"]
    network = ks.models.BurstPropNetwork([4, 2], mode="temporal")
    network(np.zeros((2, 5, 3), "float32"))
    assert shapes(NamedModel(network)) == {"input": (None, None, 3)}


def test_only_states_make_a_step_model():
    x = keras.Input((None, 3), name="x")
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    same, other = keras.layers.Dense(3), keras.layers.Dense(2)
    for inputs, outputs, is_step in (
        ({"a": a, "b": b}, {"next_a": same(a), "y": b}, True),
        ({"a": a, "b": b}, {"next_a": same(a), "next_b": same(a)}, False),
        ({"a": a}, {"next_a": other(a)}, False),
        ({"a": a}, {"next_b": same(a)}, False),
        ({"x": x}, {"next_x": same(x)}, False),
        ([a], {"next_a": same(a)}, False),
    ):
        assert NamedModel(keras.Model(inputs, outputs)).is_step == is_step


class TwoArguments(keras.Model):
    def call(self, a, b=None):
        return a if b is None else a + b


class Dictionary(keras.Model):
    def call(self, x):
        return x["a"]


def test_classes_of_more_than_one_tensor():
    x = np.zeros((1, 3), "float32")
    for model, given in (
        (TwoArguments(), [x, x]),
        (Dictionary(), [{"a": x, "b": x}]),
    ):
        model(*given)
        with pytest.raises(ValueError, match=r"must take one tensor.*call"):
            NamedModel(model)


def test_models_that_cannot_be_exported():
    with pytest.raises(TypeError, match=r"must be a `keras.Model`.*Dense"):
        NamedModel(keras.layers.Dense(2))
    with pytest.raises(ValueError, match="must be built: call it on data"):
        NamedModel(ks.models.BurstPropNetwork([4, 2]))
    x = keras.Input((3,))
    with pytest.raises(ValueError, match="lists or dictionaries within"):
        NamedModel(keras.Model(x, {"a": [x, x + 1]}))
