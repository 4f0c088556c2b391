import keras
import numpy as np
import pytest

from keras_seqattn.models import attention_scores_model
from keras_seqattn.models import build_neural_decoder
from keras_seqattn.models.neural_decoder import FAITHFUL
from tests import layer_checks
from tests.backend import to_numpy

TIMESTEPS, CHANNELS = 6, 5
WINDOWS = (
    np.random.default_rng(0)
    .normal(size=(7, TIMESTEPS, CHANNELS))
    .astype("float32")
)


def build(**arguments):
    return build_neural_decoder(
        **{
            "timesteps": TIMESTEPS,
            "channels": CHANNELS,
            "units": 4,
            "head_units": 3,
            **arguments,
        }
    )


@pytest.mark.parametrize(
    "pooling, parameters", [("attention", 1_561_218), ("last", 1_527_937)]
)
def test_faithful_settings_have_the_originals_parameters(pooling, parameters):
    model = build_neural_decoder(20, 96, 1, pooling=pooling, **FAITHFUL)
    assert model.count_params() == parameters
    assert [type(layer).__name__ for layer in model.layers][1:4] == [
        "Bidirectional",
        "LayerNormalization",
        "LSTM",
    ]


@pytest.mark.parametrize("cell, gates", [("lstm", 4), ("gru", 3), ("rnn", 1)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameters_by_formula(cell, gates, bidirectional):
    h = 4
    found = build(
        cell=cell, num_layers=2, bidirectional=bidirectional, outputs=3
    ).count_params()
    ways = 2 if bidirectional else 1
    extra = h * gates if cell == "gru" else 0  # GRU's second bias
    expected = (
        ways * (gates * h * (CHANNELS + h + 1) + extra)
        + 2 * ways * h  # layer norm
        + gates * h * (ways * h + h + 1)
        + extra
        + (h * 2 + 2)  # attention: projection to half the width
        + 2 * 2
        + 2
        + (h * 3 + 3)
        + (3 * 3 + 3)
    )
    assert found == expected


def test_equals_its_layers_by_hand():
    """The wiring, against a NumPy SimpleRNN, layer norm and head."""
    model = build(cell="rnn", num_layers=2, pooling="last")
    w = [np.float64(array) for array in model.get_weights()]

    def rnn(x, kernel, recurrent, bias):
        h, states = np.zeros((len(x), recurrent.shape[0])), []
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
            states.append(h)
        return np.stack(states, axis=1)

    x = rnn(np.float64(WINDOWS), *w[:3])
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(
        x.var(-1, keepdims=True) + 1e-3
    )
    x = rnn(x * w[3] + w[4], *w[5:8])[:, -1]
    x = np.maximum(x @ w[8] + w[9], 0) @ w[10] + w[11]
    found = model.predict(WINDOWS, verbose=0)
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_the_default_encoder_is_causal_and_the_other_is_not():
    """Attention with scores fixed on the oldest state tells them apart."""
    changed = WINDOWS.copy()
    changed[:, -1] += 1
    for bidirectional in (False, True):
        model = build(bidirectional=bidirectional)
        states = keras.Model(
            model.input, model.get_layer("temporal_attention").input
        )
        before, after = (
            states.predict(x, verbose=0)[:, 0] for x in (WINDOWS, changed)
        )
        assert bool(np.any(before != after)) == bidirectional


def test_attention_scores_come_from_the_trained_weights():
    model = build()
    scores = attention_scores_model(model)
    layer = model.get_layer("temporal_attention")
    states = keras.Model(model.input, layer.input)
    for _ in range(2):
        expected = layer(
            states.predict(WINDOWS, verbose=0), return_attention_scores=True
        )[1]
        layer_checks.assert_same(
            scores.predict(WINDOWS, verbose=0), to_numpy(expected)
        )
        model.compile("adam", "mse")
        model.fit(WINDOWS, WINDOWS[:, -1, :2], verbose=0)


def test_free_time_axis():
    fixed, free = build(), build(timesteps=None)
    free.set_weights(fixed.get_weights())
    layer_checks.assert_same(
        free.predict(WINDOWS, verbose=0), fixed.predict(WINDOWS, verbose=0)
    )
    assert free.predict(WINDOWS[:, -3:], verbose=0).shape == (7, 2)


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [
        {"cell": "gru", "num_layers": 2, "bidirectional": True},
        {"pooling": "last", "outputs": 3},
    ],
)
def test_file_loads_on_every_backend(arguments, tmp_path):
    layer_checks.check_file_loads_on_every_backend(
        build(**arguments), WINDOWS, tmp_path
    )


def test_the_scores_model_of_a_loaded_file(tmp_path):
    model = build()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    layer_checks.assert_same(
        attention_scores_model(loaded).predict(WINDOWS, verbose=0),
        attention_scores_model(model).predict(WINDOWS, verbose=0),
    )


@pytest.mark.process
def test_learns_with_dropout_on_three_seeds():
    """Copy the newest bin's first two channels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, TIMESTEPS, CHANNELS)).astype("float32")
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        model = build(units=24, head_units=16, dropout=0.02)
        model.compile(keras.optimizers.Adam(0.02), "mse")
        model.fit(x, x[:, -1, :2], epochs=25, batch_size=60, verbose=0)
        assert model.evaluate(x, x[:, -1, :2], verbose=0) < 0.2  # variance: 1


def test_unit_dropout_drops_whole_units():
    model = build(unit_dropout=0.25)
    layer = model.get_layer("unit_dropout")
    ones = np.ones((200, TIMESTEPS, CHANNELS), "float32")
    found = keras.ops.convert_to_numpy(layer(ones, training=True))
    # A unit is there over the whole window, or in no bin of it.
    np.testing.assert_array_equal(found, found[:, :1] + 0 * found)
    kept = found[:, 0] > 0
    np.testing.assert_allclose(found[:, 0][kept], 1 / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / kept.size)
    # Out of training it is not there.
    plain = build()
    plain.set_weights(model.get_weights()[: len(plain.get_weights())])
    x = np.random.default_rng(0).normal(size=ones[:3].shape)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), plain.predict(x, verbose=0)
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"timesteps": 0}, "`timesteps` must be a positive integer"),
        ({"channels": -1}, "`channels` must be a positive integer"),
        ({"outputs": 0}, "`outputs` must be a positive integer"),
        ({"cell": "LSTM"}, r"`cell` must be one of \('lstm', 'gru', 'rnn'\)"),
        ({"pooling": "mean"}, "`pooling` must be one of"),
        ({"dropout": 1}, "`dropout` must be a number"),
        ({"unit_dropout": 1}, "`unit_dropout` must be a number"),
        ({"num_layers": 0}, "`num_layers` must be a positive integer"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_scores_model_without_attention():
    with pytest.raises(ValueError, match="must have one `TemporalAttention`"):
        attention_scores_model(build(pooling="last"))
