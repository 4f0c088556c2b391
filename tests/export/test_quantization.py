import json

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export import quantization
from keras_seqattn.export import window_run
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.one_step import without_loop
from tests.export import models


def windows(count=192, seed=0):
    """Three activities: which of three channels moves."""
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=count)
    x = random.normal(0, 0.3, size=(count, 12, 3))
    x[np.arange(count), :, labels] += 1.5 * np.sin(np.arange(12) + 0.5)
    return x.astype("float32"), labels


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    model = ks.models.build_activity_classifier(
        *(12, 3, 3),
        units=8,
        num_heads=2,
        window_size=4,
        stem_filters=(8,),
        dropout=0.0,
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy"
    )
    model.fit(*windows(), epochs=8, batch_size=32, verbose=0)
    return model


@pytest.mark.parametrize("method", ["int8", "dynamic"])
def test_a_larnn_keeps_its_accuracy(classifier, method, tmp_path):
    x, labels = windows(64, seed=1)
    path = tmp_path / "step.tflite"
    loss = ks.export.export_litert(
        classifier,
        path,
        batch_size=None,
        quantize=method,
        representative=x,
        labels=labels,
        max_loss=0.02,
    )
    told = json.loads((tmp_path / "step.tflite.json").read_text())
    told = told["quantization"]
    right = classifier.predict(x, verbose=0).argmax(axis=-1) == labels
    assert right.mean() > 0.9
    assert told["accuracy_float"] == pytest.approx(right.mean())
    assert loss == told["loss"] <= 0.02
    assert told["accuracy"] == pytest.approx(right.mean() - loss)
    assert told["bytes"] == path.stat().st_size < told["bytes_float"]


def test_above_the_limit_nothing_is_left(classifier, tmp_path, monkeypatch):
    other = {"loss": 0.25, "loss_of": "accuracy"}
    monkeypatch.setattr(quantization, "compare", lambda *_: other)
    x, labels = windows(4)
    with pytest.raises(RuntimeError, match=r"0\.2500 \(accuracy\).*0\.01"):
        ks.export.export_litert(
            classifier,
            tmp_path / "step.tflite",
            quantize="float16",
            representative=x,
            labels=labels,
        )
    assert not list(tmp_path.iterdir())


def test_onnx(classifier, tmp_path):
    x, _ = windows(64, seed=1)
    path = tmp_path / "step.onnx"
    loss = ks.export.export_onnx(
        classifier, path, quantize="int8", representative=x, max_loss=0.05
    )
    told = json.loads((tmp_path / "step.onnx.json").read_text())
    assert told["quantization"]["loss"] == loss <= 0.05
    assert told["quantization"]["loss_of"].startswith("share of windows")


def test_a_model_without_a_loop(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    x = models.signal(50, 4)
    loss = ks.export.export_litert(
        model, tmp_path / "dense.tflite", quantize="int8", representative=x
    )
    assert 0 < loss < 0.01  # Of the variance: these are no probabilities.
    assert without_loop(model) is model


def test_the_calibration_sees_the_states(classifier):
    """The step ends where the model does; its window fills."""
    x, _ = windows(6)
    named = NamedModel(without_loop(classifier))
    done = window_run.run_model(named, {"signal": x})
    expected = classifier.predict(x, verbose=0)
    np.testing.assert_allclose(done.answer, expected, atol=1e-5)
    assert len(done.inputs["signal"]) == 6 * 12
    filled = done.inputs["larnn_0_state_3"]
    assert filled[:6].max() == 0  # Before the first step.
    assert filled[-6:].min() == 1
    assert np.abs(done.inputs["larnn_0_state_1"][-6:]).max() > 0.1


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
    assert quantization.compare(one, np.nan * one, labels)["loss"] == 1


def test_bad_arguments(classifier, tmp_path):
    x, labels = windows(4)

    def export(model=classifier, **changes):
        given = {"quantize": "int8", "representative": x, **changes}
        ks.export.export_litert(model, tmp_path / "step.tflite", **given)

    for changes, message in (
        ({"quantize": "int4"}, "`quantize` must be"),
        ({"representative": None}, "needs `representative`"),
        ({"representative": x[0]}, "Received: an array of shape"),
        ({"representative": np.nan * x}, "must be finite"),
        ({"labels": labels[:2]}, r"shape \(4,\)"),
        ({"labels": labels + 7}, "must be classes of the model"),
        ({"max_loss": -1}, "`max_loss` must be"),
        ({"attention_scores": True}, "leave out `attention_scores`"),
        ({"model": models.decoder(6)}, "must be causal"),
    ):
        with pytest.raises(ValueError, match=message):
            export(**changes)
    assert not list(tmp_path.iterdir())
