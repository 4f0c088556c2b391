import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.decoding import Costs
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import model_costs
from keras_seqattn.decoding.costs import cost_cells

pytestmark = pytest.mark.backend

T, N, U, H = 5, 7, 6, 3
# Products a bin of a cell of U units, with N inputs.
CELLS = {
    "lstm": 4 * U * (N + U) + 3 * U,
    "gru": 3 * U * (N + U) + 3 * U,
    "rnn": U * (N + U),
}


def decoder(**settings):
    return ks.models.build_neural_decoder(
        T, N, 2, units=U, head_units=H, **settings
    )


@pytest.mark.parametrize("cell", CELLS)
def test_decoders_by_hand(cell):
    model = decoder(cell=cell, pooling="last")
    found = model_costs(model)
    assert found.multiply_adds == T * CELLS[cell] + U * H + H * 2
    assert found.parameters == model.count_params()
    assert found.bytes == 4 * model.count_params()


def test_attention_and_two_layers_by_hand():
    model = decoder(num_layers=2, bidirectional=True)
    first = 2 * CELLS["lstm"]  # both directions
    normalization = 2 * (2 * U)  # of 2 U values
    second = 4 * U * (2 * U + U) + 3 * U
    # Half as many units as features; then the score, and the weighted sum.
    attention = U * (U // 2) + 2 * (U // 2) + U // 2 + U
    head = U * H + H * 2
    assert model_costs(model).multiply_adds == (
        T * (first + normalization + second + attention) + head
    )


def test_a_deployed_decoder_and_models_in_models():
    data = DecodingData(ks.tasks.simulated_reaching(bins=600, units=N), T)
    model = decoder()
    before = model_costs(model)
    deployed = model_costs(data.deploy(model))
    assert deployed.parameters == before.parameters
    # Two products a value to standardize counts, and movement back.
    assert deployed.multiply_adds == before.multiply_adds + 2 * (T * N + 2)
    nested = keras.Sequential([keras.Input((T, N)), model])
    assert model_costs(nested) == before
    # Counting leaves nothing in the model.
    ks.models.attention_scores_model(model)


def test_layers_over_time_and_called_twice():
    inputs = keras.Input((T, N))
    dense = keras.layers.Dense(N)
    x = keras.layers.Flatten()(dense(dense(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    assert model_costs(model) == Costs.of(
        N * N + N + T * N + 1, 2 * T * N * N + T * N
    )


def test_half_precision_has_half_the_bytes():
    inputs = keras.Input((N,))
    layer = keras.layers.Dense(4, dtype="float16")
    found = model_costs(keras.Model(inputs, layer(inputs)))
    assert (found.parameters, found.bytes) == (32, 64)


def test_windows_of_any_length():
    model = ks.models.build_neural_decoder(None, N, pooling="last", units=U)
    with pytest.raises(ValueError, match="`timesteps` must be given"):
        model_costs(model)
    fixed = ks.models.build_neural_decoder(T, N, pooling="last", units=U)
    assert model_costs(model, T) == model_costs(fixed)


def test_what_nobody_has_counted():
    class Double(keras.layers.Dense):
        def call(self, inputs):
            return super().call(super().call(inputs))

    inputs = keras.Input((T, N))
    for layer in (
        keras.layers.Conv1D(2, 3),
        Double(N),
        keras.layers.Bidirectional(
            keras.layers.RNN(keras.layers.LSTMCell(3)),
        ),
    ):
        assert model_costs(keras.Model(inputs, layer(inputs))) is None
    two = keras.Model([inputs, keras.Input((2,))], inputs)
    assert model_costs(two) is None
    assert model_costs(keras.Sequential([keras.layers.Dense(2)])) is None
    assert cost_cells(None) == ["", "", ""]
    assert cost_cells(Costs.of(1234, 5000)) == ["1,234", "4,936", "5,000"]


def test_larger_windows_cost_more():
    found = [
        model_costs(ks.models.build_neural_decoder(k, N)).multiply_adds
        for k in (1, 2, 3)
    ]
    assert np.diff(found, 2) == 0 and found[1] > found[0]
