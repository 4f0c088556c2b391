import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export.attention import with_attention_scores
from keras_seqattn.export.named_model import NamedModel
from tests.backend import to_numpy
from tests.export import models


def test_the_decoder_are_those_of_its_scores_model():
    model = models.decoder()
    x = models.signal(3, 7, 5)
    found = to_numpy(with_attention_scores(model)(x))
    assert list(NamedModel(with_attention_scores(model)).outputs) == [
        "decoded",
        "attention_scores",
    ]
    np.testing.assert_allclose(found["decoded"], to_numpy(model(x)), atol=1e-6)
    np.testing.assert_allclose(
        found["attention_scores"],
        to_numpy(ks.models.attention_scores_model(model)(x)),
        atol=1e-6,
    )


def test_each_layer():
    model = ks.models.build_activity_classifier(
        *(12, 3, 4),
        units=4,
        num_heads=2,
        window_size=3,
        stem_filters=(),
        pooling="attention",
    )
    x = models.signal(2, 12, 3)
    # Weights that a copy would not draw again.
    model.set_weights([w + 0.01 for w in model.get_weights()])
    found = to_numpy(with_attention_scores(model)(x))
    assert set(found) == {
        "probabilities",
        "larnn_0_attention_scores",
        "temporal_attention_attention_scores",
    }
    np.testing.assert_allclose(
        found["larnn_0_attention_scores"],
        to_numpy(ks.models.past_attention_model(model)(x)),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        found["probabilities"], to_numpy(model(x)), atol=1e-6
    )
    scores = found["temporal_attention_attention_scores"]
    assert scores.shape == (2, 12)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_a_model_without():
    with pytest.raises(ValueError, match="Received: step, a Functional"):
        with_attention_scores(models.step())
    with pytest.raises(TypeError, match=r"must be a `keras.Model`"):
        with_attention_scores("model.keras")
    x = keras.Input((None, 3))
    inner = keras.Model(x, ks.layers.TemporalAttention(units=2)(x))
    with pytest.raises(ValueError, match="not within a nested model"):
        with_attention_scores(keras.Model(x, inner(x)))


def test_a_sequential_model():
    model = keras.Sequential(
        [
            keras.Input((None, 3), name="x"),
            ks.layers.TemporalAttention(units=2, name="attention"),
        ]
    )
    found = with_attention_scores(model)
    assert NamedModel(found).outputs == ["attention", "attention_scores"]
    x = models.signal(2, 4, 3)
    np.testing.assert_allclose(
        to_numpy(found(x))["attention"], to_numpy(model(x)), atol=1e-6
    )


def test_a_layer_that_is_called_twice_has_two_scores():
    x = keras.Input((None, 3))
    layer = ks.layers.TemporalAttention(units=2, name="attention")
    model = keras.Model(x, layer(x) + layer(-2 * x))
    found = to_numpy(with_attention_scores(model)(models.signal(2, 4, 3)))
    x = models.signal(2, 4, 3)
    for name, signal in (("attention", x), ("attention_again", -2 * x)):
        _, scores = layer(signal, return_attention_scores=True)
        np.testing.assert_allclose(
            found[f"{name}_attention_scores"], to_numpy(scores), atol=1e-6
        )


def test_an_output_of_the_same_name_is_not_lost():
    x = keras.Input((None, 3))
    y = ks.layers.TemporalAttention(units=2)(x)
    model = keras.Model(x, {"attention_scores": y})
    with pytest.raises(ValueError, match=r"outputs of the model have already"):
        with_attention_scores(model)
