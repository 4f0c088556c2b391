import keras
import numpy as np
import pytest

from keras_seqattn import export
from keras_seqattn.models import build_activity_classifier
from keras_seqattn.models import past_attention_model
from keras_seqattn.models.activity_classifier import FAITHFUL
from tests import layer_checks
from tests.backend import to_numpy

SMALL = {
    "units": 4,
    "num_heads": 2,
    "window_size": 3,
    "stem_filters": (4,),
    "stem_kernel_size": 3,
}


def small(**arguments):
    arguments = {**SMALL, **arguments}
    timesteps = arguments.pop("timesteps", 12)
    return build_activity_classifier(timesteps, 5, 3, **arguments)


@pytest.fixture
def signal():
    rng = np.random.default_rng(0)
    return rng.normal(size=(7, 12, 5)).astype("float32")


def names(model):
    return [layer.name for layer in model.layers]


def test_parameter_count_of_the_original_s_shape():
    model = build_activity_classifier(128, 9, 6, **FAITHFUL)
    trainable = sum(np.prod(v.shape) for v in model.trainable_variables)
    # 1302 outside; three layers, each with its own weights (see the layer's
    # test for what is left out of 113,643 + 162).
    assert trainable == 1302 + 3 * (113_643 + 162 - 12 * 81)
    assert names(model)[1:3] == ["projection", "larnn_0"]
    assert [n for n in names(model) if n.startswith("residual")] == [
        "residual_0",
        "residual_1",
        "residual_2",
    ]


def test_the_defaults():
    model = build_activity_classifier(128, 9, 6)
    assert model.output_shape == (None, 6)
    assert model.get_layer("larnn_0").input.shape == (None, 32, 64)
    assert model.count_params() == 98_438
    # Stem, GRU, head.
    gru = build_activity_classifier(128, 9, 6, cell="gru", units=32)
    assert gru.count_params() == 26_368 + 9_408 + 198


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"pooling": "attention", "num_layers": 2, "residual": True},
        {"cell": "lstm", "residual": True, "timesteps": None},
        {"cell": "gru"},
        {
            "projection_units": 4,
            "stem_filters": (),
            "compression": None,
            "normalization": "layer",
            "use_positional_encoding": False,
            "key_value_activation": None,
            "timesteps": None,
        },
    ],
    ids=["default", "attention", "lstm", "gru", "projection"],
)
def test_probabilities_and_files(arguments, signal, tmp_path):
    model = small(**arguments)
    found = model.predict(signal, verbose=0)
    assert found.shape == (7, 3)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    layer_checks.check_file_loads_on_every_backend(model, signal, tmp_path)


def test_values_of_the_parts(signal):
    """Compression, stem, layer, residual and head, one after another."""
    model = small(residual=True, compression=7.0)
    part = {layer.name: layer for layer in model.layers}
    x = np.concatenate([signal, 0.5 * np.arcsinh(7 * signal)], axis=-1)
    kernel, bias = part["stem_0"].get_weights()
    padded = np.pad(x, ((0, 0), (2, 0), (0, 0)))
    stem = np.stack(
        [
            np.einsum("bkc,kcf->bf", padded[:, t : t + 3], kernel) + bias
            for t in range(0, 12, 2)
        ],
        axis=1,
    )
    stem = np.maximum(stem, 0).astype("float32")
    last = to_numpy(part["larnn_0"](stem)) + stem[:, -1]
    kernel, bias = part["probabilities"].get_weights()
    logits = last @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    layer_checks.assert_same(model.predict(signal, verbose=0), expected, 1e-5)


def test_no_step_sees_a_later_one(signal):
    model = small()
    layer = model.get_layer("larnn_0")
    before = keras.Model(model.input, layer.input)
    changed = signal.copy()
    changed[:, 8:] += 1
    a, b = (before.predict(x, verbose=0) for x in (signal, changed))
    layer_checks.assert_same(a[:, :4], b[:, :4], 0)
    assert np.abs(a[:, 4:] - b[:, 4:]).max() > 0.01


def test_every_layer_has_its_own_weights_and_all_move(signal):
    model = small(num_layers=3, pooling="attention", residual=True)
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy"
    )
    before = {v.path: to_numpy(v) for v in model.trainable_variables}
    assert len(before) == len(model.trainable_variables)
    model.fit(signal, np.arange(7) % 3, epochs=1, verbose=0)
    for variable in model.trainable_variables:
        moved = np.abs(to_numpy(variable) - before[variable.path]).max()
        assert moved > 1e-4, variable.path


@pytest.mark.process
def test_learns_a_rhythm_on_three_seeds():
    """Slow or fast oscillation, of any phase and size."""
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 400)
        phase, size = rng.uniform(0, 6, (400, 1)), rng.uniform(0.5, 2, (400, 1))
        angle = (0.4 + 0.3 * y[:, None]) * np.arange(32) + phase
        x = (size * np.sin(angle))[..., None].astype("float32")
        model = build_activity_classifier(
            32,
            1,
            2,
            units=8,
            num_heads=2,
            window_size=5,
            stem_filters=(8,),
            compression=None,
            dropout=0.0,
        )
        model.compile(
            keras.optimizers.Adam(0.01),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        model.fit(x[:300], y[:300], epochs=25, verbose=0)
        _, accuracy = model.evaluate(x[300:], y[300:], verbose=0)
        assert accuracy > 0.9, seed  # chance: 0.5


def test_past_attention(signal):
    model = small(num_layers=2)
    for layer in (0, 1, -1):
        scores = past_attention_model(model, layer).predict(signal, verbose=0)
        assert scores.shape == (7, 6, 2, 3)
        np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-5)
    # At first there is the cell of zeros alone.
    assert np.all(scores[:, 0, :, :2] == 0)
    larnn = model.get_layer("larnn_1")
    inner = keras.Model(model.input, larnn.input).predict(signal, verbose=0)
    _, expected = larnn(inner, return_attention_scores=True)
    layer_checks.assert_same(scores, to_numpy(expected))


def test_past_attention_of_a_model_without():
    with pytest.raises(ValueError, match="The model has 0 `LARNN` layers"):
        past_attention_model(small(cell="lstm"))
    with pytest.raises(ValueError, match="Received: layer=1"):
        past_attention_model(small(), 1)


@pytest.mark.process
def test_saved_model(signal, tmp_path):
    assert export.export_saved_model(small(), tmp_path / "model") < 1e-5


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"timesteps": 0}, "`timesteps` must be a positive integer"),
        ({"cell": "rnn"}, r"`cell` must be one of \('larnn', 'lstm', 'gru'\)"),
        ({"pooling": "mean"}, "`pooling` must be one of"),
        ({"units": 5}, "`units` must be a multiple of `num_heads`"),
        ({"stem_filters": (0,)}, "`stem_filters` must be a positive integer"),
        ({"stem_filters": 64}, "`stem_filters` must be a sequence"),
        ({"stem_strides": 1.5}, "`stem_strides` must be a positive integer"),
        ({"compression": 0}, "`compression` must be a finite number above 0"),
        ({"dropout": 1}, "`dropout` must be a number"),
        ({"projection_units": -1}, "`projection_units` must be a positive"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="`classes` must be 2 or more"):
        build_activity_classifier(12, 5, 1)
