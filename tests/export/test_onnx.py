import json

import keras
import numpy as np
import onnxruntime
import pytest

import keras_seqattn as ks
from keras_seqattn.export import __main__ as command_line
from tests.backend import to_numpy
from tests.export import models


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = models.decoder()
    path = tmp_path_factory.mktemp("export") / "decoder.onnx"
    difference = ks.export.export_onnx(
        model,
        path,
        attention_scores=True,
        preprocessing=models.PREPROCESSING,
    )
    return model, path, difference


def test_names_and_free_axes(exported):
    _, path, difference = exported
    assert difference < 1e-5
    session = onnxruntime.InferenceSession(path)
    found = [
        (value.name, value.shape)
        for value in (*session.get_inputs(), *session.get_outputs())
    ]
    assert found == [
        ("spikes", ["batch", "time", 5]),
        ("decoded", ["batch", 2]),
        ("attention_scores", ["batch", "time"]),
    ]


def test_sizes_that_the_export_did_not_try(exported):
    model, path, _ = exported
    x = models.signal(5, 4, 5)
    decoded, scores = onnxruntime.InferenceSession(path).run(
        ["decoded", "attention_scores"], {"spikes": x}
    )
    np.testing.assert_allclose(decoded, to_numpy(model(x)), atol=1e-5)
    np.testing.assert_allclose(
        scores,
        to_numpy(ks.models.attention_scores_model(model)(x)),
        atol=1e-5,
    )


def test_preprocessing_inside_and_beside(exported):
    _, path, _ = exported
    said = onnxruntime.InferenceSession(path).get_modelmeta()
    inside = json.loads(said.custom_metadata_map["preprocessing"])
    beside = json.loads(path.with_name("decoder.onnx.json").read_text())
    assert inside == beside == models.PREPROCESSING.to_dict()


def test_what_onnx_has_not(tmp_path):
    """A loop of constant length, log1p also of tiny numbers, constants."""
    model = ks.models.build_activity_classifier(
        *(16, 3, 4), units=4, num_heads=2, window_size=3, stem_filters=(4,)
    )
    logarithm = 1e6 * keras.ops.log1p(1e-6 * model.input)
    scale = keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6])
    outputs = [model.output, logarithm, scale(model.input)]
    model = keras.Model(model.input, outputs)
    assert ks.export.export_onnx(model, tmp_path / "model.onnx") < 1e-5


def test_a_step_model_by_the_command_line(tmp_path, capsys):
    models.step().save(tmp_path / "step.keras")
    command_line.main([str(tmp_path / "step.keras"), "--format", "onnx"])
    path = tmp_path / "step.onnx"
    assert f"{path}: reloaded" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(path)
    assert [value.name for value in session.get_inputs()] == ["x", "state"]
    names = [value.name for value in session.get_outputs()]
    assert names == ["y", "next_state"]


def test_bad_paths(tmp_path):
    with pytest.raises(ValueError, match=r"must end with '.onnx'.*model.bin"):
        ks.export.export_onnx(models.decoder(), tmp_path / "model.bin")
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(FileExistsError, match="something else than a file"):
        ks.export.export_onnx(models.decoder(), tmp_path / "model.onnx")


@pytest.mark.parametrize("missing", ["tf2onnx", "onnxruntime"])
def test_without_a_package(missing, tmp_path, without):
    without(missing)
    with pytest.raises(ImportError, match=rf"needs {missing}: pip install"):
        ks.export.export_onnx(models.decoder(), tmp_path / "model.onnx")


@pytest.mark.only("tensorflow")
def test_a_layer_that_is_always_in_training(tmp_path):
    """As for dropout at inference."""
    inputs = keras.Input((9, 4))
    layer = ks.layers.LARNN(6, num_heads=2, window_size=5)
    model = keras.Model(inputs, layer(inputs, training=True))
    assert ks.export.export_onnx(model, tmp_path / "model.onnx") < 1e-5
