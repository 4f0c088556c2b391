import keras
import pytest
from keras import layers

from keras_seqattn.streaming import names
from keras_seqattn.streaming import step_model
from tests.streaming import cases


def test_unique():
    assert names.unique("a", {"b"}) == "a"
    assert names.unique("a", {"a", "a_1"}) == "a_2"


def test_operations_of_nested_models():
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, name="deep")], name="inner"
    )
    inputs = keras.Input((3,), name="signal")
    model = keras.Model(inputs, layers.Dense(2, name="top")(inner(inputs)))
    found = names.operation_names(model)
    assert {"signal", "inner", "deep", "top"} <= found


def test_outputs():
    x = keras.Input((3,), name="x")
    twice = layers.Dense(3, name="y")
    assert names.output_names(keras.Model(x, {"b": x, "a": x})) == ["a", "b"]
    # None twice, and none that an input has.
    model = keras.Model(x, [twice(x), twice(x), x])
    assert names.output_names(model) == ["y", "y_1", "x_1"]


@pytest.mark.nan
def test_states():
    model = cases.sequential(layers.LSTM(4, name="lstm"), layers.Dense(2))
    found = names.state_inputs(step_model(model, mask=False))
    assert {name: tuple(x.shape) for name, x in found.items()} == {
        "lstm_state_0": (None, 4),
        "lstm_state_1": (None, 4),
    }
    with pytest.raises(ValueError, match="must be a model of one step"):
        names.state_inputs(model)
