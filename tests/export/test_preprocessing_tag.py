import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export import Preprocessing
from keras_seqattn.export import PreprocessingTag
from keras_seqattn.export import preprocessing_of
from tests.backend import to_numpy
from tests.export import models

SAID = models.PREPROCESSING


def tagged(said=SAID, timesteps=7, **settings):
    """The small decoder, with a tag and without, of the same weights."""
    decoder = ks.models.build_neural_decoder(
        timesteps, 5, units=4, head_units=3, **settings
    )
    signal = keras.Input((timesteps, 5), name="signal")
    x = PreprocessingTag(said, name="preprocessing")(signal)
    return keras.Model(signal, decoder(x), name="tagged"), decoder


@pytest.mark.backend
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_what_passes_through_is_unchanged(policy):
    keras.config.set_dtype_policy(policy)
    tag = PreprocessingTag(SAID)
    for x in (models.signal(3, 7, 5), np.arange(6).reshape(2, 3)):
        found = tag(keras.ops.convert_to_tensor(x))
        np.testing.assert_array_equal(to_numpy(found), x)
        assert to_numpy(found).dtype.kind == x.dtype.kind
    assert tag.compute_output_shape((None, 7, 5)) == (None, 7, 5)
    assert not tag.weights


@pytest.mark.backend
def test_within_a_model(tmp_path):
    model, decoder = tagged()
    x = models.signal(4, 7, 5)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), decoder.predict(x, verbose=0)
    )
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(x, np.ones((4, 2), "float32")))

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert preprocessing_of(loaded) == SAID == preprocessing_of(model)
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    # Within a model within one.
    outer = keras.Input((7, 5))
    assert preprocessing_of(keras.Model(outer, loaded(outer))) == SAID
    assert preprocessing_of(decoder) is None


@pytest.mark.backend
def test_masks_pass():
    inputs = keras.Input((None, 5))
    x = keras.layers.Masking()(inputs)
    cell = keras.layers.LSTM(4, name="lstm")
    plain = keras.Model(inputs, cell(x))
    model = keras.Model(inputs, cell(PreprocessingTag(SAID)(x)))
    x = models.signal(3, 6, 5)
    x[:, 2:4] = 0
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), plain.predict(x, verbose=0)
    )
    dropped = np.delete(x, [2, 3], axis=1)
    np.testing.assert_allclose(
        model.predict(x, verbose=0),
        plain.predict(dropped, verbose=0),
        atol=1e-6,
    )


@pytest.mark.backend
@pytest.mark.parametrize(
    "timesteps, settings", [(7, {}), (None, {"pooling": "last"})]
)
def test_one_step_at_a_time(timesteps, settings, tmp_path):
    model, _ = tagged(timesteps=timesteps, **settings)
    step = ks.streaming.step_model(model, window=timesteps)
    step.save(tmp_path / "step.keras")
    step = keras.saving.load_model(tmp_path / "step.keras")
    assert preprocessing_of(step) == SAID
    session = ks.streaming.StreamingSession(step)
    x = models.signal(12, 5)
    found = np.stack([session.push(row) for row in x])
    length = timesteps or 12
    expected = model.predict(x[None, -length:], verbose=0)[0]
    np.testing.assert_allclose(found[-1], expected, atol=1e-5)


def test_a_stream_knows_which_recording_it_is_of():
    """A state of bins of another width means nothing."""
    prints = []
    for said in (SAID, SAID, dataclasses.replace(SAID, bin_width=0.1)):
        keras.utils.set_random_seed(0)
        model, _ = tagged(said, None, pooling="last")
        step = ks.streaming.step_model(model)
        prints.append(ks.streaming.StreamingSession(step).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_an_export_needs_not_be_told(tmp_path):
    model, _ = tagged()
    path = tmp_path / "model.onnx"
    assert ks.export.export_onnx(model, path) < 1e-4
    said = json.loads((tmp_path / "model.onnx.json").read_text())
    assert said == SAID.to_dict()

    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    (entry,) = session.get_modelmeta().custom_metadata_map.values()
    assert json.loads(entry) == said
    x = models.signal(2, 7, 5)
    (found,) = session.run(None, {"signal": x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.parametrize("format", ["saved_model", "litert"])
def test_other_formats(format, tmp_path):
    model, _ = tagged()
    if format == "litert":
        path = tmp_path / "model.tflite"
        assert ks.export.export_litert(model, path) < 1e-4
    else:
        path = tmp_path / "model"
        assert ks.export.export_saved_model(model, path) < 1e-4
    said = path.with_name(f"{path.name}.json").read_text()
    assert json.loads(said) == SAID.to_dict()


def test_an_export_may_be_told_more_but_nothing_else(tmp_path):
    model, _ = tagged(Preprocessing([0] * 5, [1] * 5, lag=0.1))
    carried = preprocessing_of(model)
    with pytest.raises(ValueError, match=r"other values of \['mean', 'lag'\]"):
        ks.export.export_onnx(
            model,
            tmp_path / "model.onnx",
            preprocessing=dataclasses.replace(carried, mean=[1] * 5, lag=0.2),
        )
    assert not list(tmp_path.iterdir())
    more = dataclasses.replace(carried, quantity="velocity")
    ks.export.export_onnx(model, tmp_path / "model.onnx", preprocessing=more)
    said = json.loads((tmp_path / "model.onnx.json").read_text())
    assert (said["lag"], said["quantity"]) == (0.1, "velocity")


def test_two_that_differ():
    a, b = keras.Input((7, 5)), keras.Input((7, 5))
    other = dataclasses.replace(SAID, lag=0.3)
    for said, message in ((SAID, None), (other, "2 `PreprocessingTag` layers")):
        x = keras.layers.Add()(
            [PreprocessingTag(SAID)(a), PreprocessingTag(said)(b)]
        )
        model = keras.Model([a, b], x)
        if message is None:
            assert preprocessing_of(model) == SAID
        else:
            with pytest.raises(ValueError, match=message):
                preprocessing_of(model)


@pytest.mark.parametrize(
    "given, message",
    [
        (None, "a `Preprocessing`, or its fields"),
        ({"mean": [1]}, "must have the fields"),
        (
            {"mean": [1], "scale": [1], "step_seconds": 1},
            "must have the fields",
        ),
        ({"mean": [1], "scale": [1], "in_model": "false"}, "without quotes"),
    ],
)
def test_bad_fields(given, message):
    with pytest.raises(ValueError, match=message):
        PreprocessingTag(given)


def test_only_of_a_model():
    with pytest.raises(TypeError, match=r"must be a `keras.Model`"):
        preprocessing_of("model.keras")
