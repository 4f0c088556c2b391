import json

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export import bridge
from tests.backend import to_numpy
from tests.export import models

# What TensorFlow finds in two artifacts, in a process of its own.
READ = """
import sys
sys.modules["keras"] = None
import json, numpy as np, tensorflow as tf
decoder, step, x = sys.argv[1:]
loaded = tf.saved_model.load(decoder)
x = tf.constant(np.load(x))
named = loaded.signatures["serving_default"](spikes=x)
said = loaded.signatures["preprocessing"]()
step = tf.saved_model.load(step).signatures["step"]
next = step(
    x=tf.zeros((2, 5, 4)), mask=tf.ones((2, 5), bool), state=tf.ones((2, 4))
)
print(json.dumps({
    "serve": loaded.serve(x)["decoded"].numpy().tolist(),
    "named": {name: y.numpy().tolist() for name, y in named.items()},
    "signatures": sorted(loaded.signatures),
    "preprocessing": {
        name: np.array(y.numpy()).astype("S").astype("U").tolist()
        for name, y in said.items()
    },
    "mean_type": said["mean"].dtype.name,
    "step": {name: y.shape.as_list() for name, y in next.items()},
}))
"""


def timed_step():
    """A dictionary of inputs: two with the same free time, and a state."""
    x = keras.Input((None, 4), name="x")
    mask = keras.Input((None,), dtype="bool", name="mask")
    state = keras.Input((4,), name="state")
    y, scores = ks.layers.TemporalAttention(units=2)(
        x, mask=mask, return_attention_scores=True
    )
    return keras.Model(
        {"x": x, "state": state, "mask": mask},
        {"next_state": state + y, "scores": scores},
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = models.decoder()
    path = tmp_path_factory.mktemp("export") / "new" / "decoder"
    assert ks.export.export_saved_model(timed_step(), path) < 1e-5
    path.rename(path.parents[1] / "step")
    difference = ks.export.export_saved_model(
        model,
        path,
        attention_scores=True,
        preprocessing=models.PREPROCESSING,
    )
    return model, path, difference


def test_the_artifact_speaks_for_itself(exported, tmp_path, run_python):
    model, path, difference = exported
    assert difference < 1e-5
    # Free batch and time axes: sizes that the export did not try.
    x = models.signal(5, 4, 5)
    np.save(tmp_path / "x.npy", x)
    step = path.parents[1] / "step"
    found = json.loads(run_python("-c", READ, path, step, tmp_path / "x.npy"))
    decoded = to_numpy(model(x))
    np.testing.assert_allclose(found["serve"], decoded, atol=1e-5)
    np.testing.assert_allclose(found["named"]["decoded"], decoded, atol=1e-5)
    np.testing.assert_allclose(
        found["named"]["attention_scores"],
        to_numpy(ks.models.attention_scores_model(model)(x)),
        atol=1e-5,
    )
    assert found["signatures"] == ["preprocessing", "serve", "serving_default"]
    said = found["preprocessing"]
    np.testing.assert_array_equal(
        np.array(said["scale"], float), [1, 2, 4, 8, 16]
    )
    assert found["mean_type"] == "float64"
    assert said["timesteps"] == "7"
    assert said["channels"][4] == "e"
    assert said["unit_of_decoded"] == "cm/s"
    assert float(said["rate"]) == 20
    assert json.loads(said["signal_options"]) == {
        "lowpass": 5.0,
        "magnitudes": ["acc"],
    }
    assert said["package_version"] == ks.__version__
    assert found["step"] == {"next_state": [2, 4], "scores": [2, 5]}


def test_what_lies_beside_it(exported):
    _, path, _ = exported
    assert {p.name for p in path.parent.iterdir()} == {
        "decoder",
        "decoder.json",
    }
    written = json.loads(path.with_name("decoder.json").read_text())
    assert written == models.PREPROCESSING.to_dict()


def test_other_files_are_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(FileExistsError, match="something else than a SavedMod"):
        ks.export.export_saved_model(models.decoder(), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "chapter 1"


def test_without_tensorflow(tmp_path, without):
    without("tensorflow")
    with pytest.raises(ImportError, match="pip install tensorflow"):
        ks.export.export_saved_model(models.decoder(), tmp_path / "model")


def test_parts_that_another_process_cannot_find(tmp_path, monkeypatch):
    class Own(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    x = keras.Input((3,))
    model = keras.Model(x, Own()(x))
    # As from torch, on any backend.
    monkeypatch.setitem(bridge.DIRECT, keras.backend.backend(), ())
    with pytest.raises(ValueError, match="Received: Own, which cannot"):
        ks.export.export_saved_model(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_own_modules_go_over_the_bridge():
    from keras_seqattn.learning_rules.images.methods import (
        FeedbackAlignmentNetwork,
    )

    for model, module in (
        (FeedbackAlignmentNetwork([4, 2]), "learning_rules.images.methods"),
        (models.decoder(), "layers.temporal_attention"),
    ):
        config = keras.saving.serialize_keras_object(model)
        assert bridge._own_modules(config) == {f"keras_seqattn.{module}"}
