"""Real exports through the bridge, of a module beside the user's script."""

import importlib
import json

import keras
import numpy as np
import onnx
import pytest

from keras_seqattn.export import bridge
from keras_seqattn.export import export_onnx
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.proof import largest_difference

MODULE = """
import keras

@keras.saving.register_keras_serializable("test_bridge")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


def test_own_layers_go_over_it_and_a_wrong_weight_is_found(
    tmp_path, monkeypatch
):
    (tmp_path / "my_own_layers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    twice = importlib.import_module("my_own_layers").Twice()
    x = keras.Input((None, 3), name="x")
    y = keras.layers.LSTM(2)(keras.layers.Masking()(x))
    model = keras.Model(x, twice(y))
    # As from JAX and torch, on any backend.
    monkeypatch.setitem(bridge.DIRECT, keras.backend.backend(), ())
    path = tmp_path / "model.onnx"
    assert export_onnx(model, path) < 1e-5

    found = onnx.load(path)
    weights = max(found.graph.initializer, key=lambda x: np.prod(x.dims))
    array = onnx.numpy_helper.to_array(weights).copy()
    array.flat[0] += 0.01
    weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))
    onnx.save(found, path)
    difference = largest_difference(
        NamedModel(model), "onnx", path, tmp_path, 1e-4
    )
    assert 1e-4 < difference < 0.1


def test_a_module_that_the_other_side_has_not(tmp_path):
    content = [{"format": "onnx"}, ["my_absent_layers"]]
    (tmp_path / "bridge.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match="'my_absent_layers' registers a part"):
        bridge.read_and_write(str(tmp_path / "artifact"))


def test_subprocesses_see_no_gpu_and_the_path_of_this_one(tmp_path):
    from keras_seqattn.export.proof import run_python

    ask = "import os, sys; sys.exit(str([os.environ[k] for k in sys.argv[1:]]))"
    names = ("CUDA_VISIBLE_DEVICES", "PYTHONPATH")
    with pytest.raises(RuntimeError, match=r"\['-1', 'some:other'\]"):
        run_python("ask", "-c", ask, *names, path=["some", "other"])
