import json

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export import quantization
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.window_run import WindowRun
from tests.export import models


def windows(count, seed):
    """Three activities: which of three channels moves."""
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=count)
    x = random.normal(0, 0.3, size=(count, 12, 3))
    x[np.arange(count), :, labels] += 1.5 * np.sin(np.arange(12) + 0.5)
    return x.astype("float32"), labels


@pytest.fixture(scope="module")
def classifier():
    """A LARNN behind a convolution with strides, trained."""
    keras.utils.set_random_seed(0)
    model = ks.models.build_activity_classifier(
        *(12, 3, 3),
        units=24,
        num_heads=2,
        window_size=4,
        stem_filters=(24,),
        dropout=0.0,
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy"
    )
    model.fit(*windows(192, seed=0), epochs=6, batch_size=32, verbose=0)
    return model


@pytest.fixture(scope="module")
def step(classifier):
    """What is quantized of it; a step model is quantized as it is."""
    return quantization.without_loop(classifier)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("litert", "float16"),
        ("litert", "dynamic"),
        ("litert", "int8"),
        ("onnx", "dynamic"),
        ("onnx", "int8"),
    ],
)
def test_a_larnn_keeps_its_accuracy(classifier, step, kind, method, tmp_path):
    x, labels = windows(64, seed=1)
    path = tmp_path / f"step.{'tflite' if kind == 'litert' else kind}"
    loss = getattr(ks.export, f"export_{kind}")(
        step,
        path,
        quantize=method,
        representative=x,
        labels=labels,
        max_loss=0.02,
    )
    told = json.loads((tmp_path / f"{path.name}.json").read_text())
    told = told["quantization"]
    right = classifier.predict(x, verbose=0).argmax(axis=-1) == labels
    assert right.mean() > 0.9
    assert told["accuracy_float"] == pytest.approx(right.mean())
    assert told["accuracy"] == pytest.approx(right.mean() - loss)
    assert loss == told["loss"] <= 0.02
    assert told["bytes"] == path.stat().st_size
    # ONNX's scales outweigh what so few weights save.
    assert kind == "onnx" or told["bytes"] < told["bytes_float"]


def test_above_the_limit_nothing_is_left(tmp_path):
    """No loop, and no probabilities: a share of the variance is lost."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    given = {
        "model": model,
        "path": tmp_path / "dense.tflite",
        "quantize": "int8",
        "representative": models.signal(50, 4),
    }
    with pytest.raises(RuntimeError, match=r"loses 0\.\d+ \(variance of"):
        ks.export.export_litert(**given, max_loss=0)
    assert not list(tmp_path.iterdir())
    assert 0 < ks.export.export_litert(**given) < 0.01


def test_the_calibration_sees_the_states(classifier, step):
    """The step ends where the model does; its window fills."""
    x, _ = windows(6, seed=1)
    answer, inputs = WindowRun(NamedModel(step)).model(x)
    expected = classifier.predict(x, verbose=0)
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    assert len(inputs["signal"]) == 6 * 12
    filled = inputs["larnn_0_state_3"]
    assert filled[:6].max() == 0  # Before the first step.
    assert filled[-6:].min() == 1
    assert np.abs(inputs["larnn_0_state_1"][-6:]).max() > 0.1


def test_losses():
    one = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    two = one[[0, 1, 1, 3]]
    labels = np.array([0, 1, 0, 0])
    told = quantization.compare(one, two, labels)
    assert (told["accuracy_float"], told["accuracy"]) == (0.75, 0.5)
    assert told["loss"] == 0.25
    assert quantization.compare(one, two, None)["loss"] == 0.25
    line = np.array([[0.0], [2.0], [4.0]])
    assert quantization.compare(line, line + 1, None)["loss"] == (
        pytest.approx(3 / 8)
    )
    assert quantization.compare(one, np.nan * one, labels)["accuracy"] == 0


def test_one_output_has_two_classes(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")]
    )
    x = models.signal(50, 4)
    labels = (model.predict(x, verbose=0)[:, 0] > 0.5).astype("int64")
    labels[:5] = 1 - labels[:5]
    given = {"quantize": "dynamic", "representative": x, "labels": labels}
    path = tmp_path / "one.tflite"
    ks.export.export_litert(model, path, **given, max_loss=0.1)
    told = json.loads((tmp_path / "one.tflite.json").read_text())
    assert told["quantization"]["accuracy_float"] == pytest.approx(0.9)
    line = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    line.layers[0].set_weights([np.ones((4, 1)), np.array([9.0])])
    for other, wrong in ((model, labels + 1), (line, labels)):
        with pytest.raises(ValueError, match="0 and 1 of one output"):
            ks.export.export_litert(other, path, **{**given, "labels": wrong})


@pytest.mark.parametrize("kind", ["litert", "onnx"])
@pytest.mark.parametrize(
    "given", [{"representative": [1]}, {"labels": [1]}, {"max_loss": 0.01}]
)
def test_without_quantize_nothing_of_it_is_taken(kind, given, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    write = getattr(ks.export, f"export_{kind}")
    path = tmp_path / f"dense.{'tflite' if kind == 'litert' else kind}"
    with pytest.raises(ValueError, match=f"Received: {next(iter(given))}"):
        write(model, path, **given)
    assert not list(tmp_path.iterdir())


def test_bad_arguments(classifier, step, tmp_path):
    x, labels = windows(4, seed=1)
    for changes, message in (
        ({"quantize": "int4"}, "`quantize` must be"),
        ({"max_loss": -1}, "`max_loss` must be"),
        ({"attention_scores": True}, "leave out `attention_scores`"),
        ({"representative": None}, "needs `representative`"),
        ({"representative": x[0]}, r"\(None, None, 3\).*of shape \(12, 3\)"),
        ({"model": classifier, "representative": x[:, 1:]}, r"e, 12, 3\)"),
        ({"representative": np.nan * x}, "of finite numbers"),
        ({"representative": x + 1j}, "must hold numbers"),
        ({"labels": labels.astype(str)}, "must hold integers"),
        ({"labels": labels[:2]}, r"shape \(4,\). Received: shape \(2,\)"),
        ({"labels": labels + 7}, "must be classes of the model"),
        ({"model": models.decoder(6)}, "must be causal"),
        ({"model": models.two_outputs()}, "one input and one output"),
    ):
        given = {
            "model": step,
            "path": tmp_path / "step.tflite",
            "quantize": "int8",
            "representative": x,
        }
        with pytest.raises(ValueError, match=message):
            ks.export.export_litert(**{**given, **changes})
    assert not list(tmp_path.iterdir())
