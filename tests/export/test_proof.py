import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export import artifact
from keras_seqattn.export import proof
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.request import Request
from tests.export import models

ONNX = Request("onnx")


@pytest.fixture
def served(monkeypatch):
    """Give the artifact's outputs instead of running one.

    The inputs and outputs that pass through are real files.
    """

    def serve(change):
        model = models.decoder()

        def run(what, *arguments):
            paths = arguments[-6:]
            for inputs, outputs in zip(paths[::2], paths[1::2], strict=True):
                with np.load(inputs) as file:
                    x = file["spikes"]
                found = model.predict_on_batch(x)
                np.savez(outputs, **change({"decoded": np.array(found)}))

        monkeypatch.setattr(proof, "run_python", run)
        monkeypatch.setattr(
            artifact, "write", lambda m, n, path, r: path.write_text("new")
        )
        return model

    return serve


def test_the_largest_difference_of_both_sizes(served, tmp_path):
    shapes, largest = [], [0.0]

    def change(outputs):
        x = outputs["decoded"]
        largest[0] = max(largest[0], np.abs(x).max())
        shapes.append(x.shape)
        return {"decoded": x + len(x) * 1e-6}

    path = tmp_path / "new" / "model.onnx"
    difference = artifact.export(served(change), path, ONNX, 1e-4)
    assert shapes == [(1, 2), (3, 2), (3, 2)]
    assert difference == pytest.approx(3e-6 / largest[0], rel=0.1)
    # Nothing else is left behind.
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]


def nan_in_one(outputs):
    outputs["decoded"][0, 1] = np.nan
    return outputs


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: {"decoded": x["decoded"] + 0.01}, r"difference is 0\."),
        (nan_in_one, "largest difference is nan"),
        (lambda x: {"decoded": x["decoded"][:, :1]}, r"\(1, 1\) instead of"),
        (lambda x: {"other": x["decoded"]}, r"\['other'\] instead of"),
    ],
)
def test_other_numbers_are_refused(change, message, served, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("before")
    with pytest.raises(RuntimeError, match=message):
        artifact.export(served(change), path, ONNX, 1e-4)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_differences_are_relative_to_the_largest_value():
    for size in (1000.0, 0.1, 0.001):
        one, other = np.array([size, 0.0]), np.array([0.0, -0.5 * size])
        wanted = [{"y": one}, {"y": other}]
        found = [{"y": one}, {"y": other * 1.001}]
        assert proof._difference(found, wanted) == pytest.approx(5e-4)
    tiny = [{"y": np.array([1e-5])}, {"y": np.array([0.0])}]
    zeros = [{"y": np.array([0.0])}] * 2
    assert proof._difference(zeros, tiny) == pytest.approx(0.01)


def test_zeros_prove_nothing(served, tmp_path):
    model = served(lambda outputs: outputs)
    model.get_layer("decoded").set_weights([np.zeros((3, 2)), np.zeros(2)])
    with pytest.raises(RuntimeError, match="an artifact of zeros would pass"):
        artifact.export(model, tmp_path / "model.onnx", ONNX, 1e-4)
    assert not list(tmp_path.iterdir())


def test_inputs_have_both_values_of_a_mask_and_the_fixed_sizes():
    x, mask = (
        keras.Input((None, 3), name="x"),
        keras.Input((None,), dtype="bool", name="mask"),
    )
    model = keras.Model([x, mask], keras.layers.LSTM(2)(x, mask=mask))
    found = inputs(NamedModel(model))
    assert [trial["x"].shape for trial in found] == [
        *((1, 37, 3), (3, 11, 3), (3, 11, 3))
    ]
    for trial in found:
        assert 0 < trial["mask"].mean() < 1 and trial["mask"].dtype == "bool"
        assert trial["x"].dtype == "float32"
    fixed = inputs(NamedModel(model, batch_size=2, timesteps=4))
    assert [trial["x"].shape for trial in fixed] == [(2, 4, 3)] * 3


def inputs(named):
    return [
        proof._trial(named, number, *trial)[0]
        for number, trial in enumerate(proof.TRIALS)
    ]


def test_inputs_of_a_step_have_both_signs_and_both_masks():
    x, state = keras.Input((3,), name="x"), keras.Input((4,), name="state")
    mask = keras.Input((), dtype="bool", name="mask")
    new = (
        keras.layers.Dense(4)(x)
        + state * keras.ops.cast(mask, "float32")[:, None]
    )
    model = keras.Model(
        {"x": x, "state": state, "mask": mask}, {"next_state": new}
    )
    one = inputs(NamedModel(model, batch_size=1))
    assert {bool(trial["mask"][0]) for trial in one} == {True, False}
    many = inputs(NamedModel(model))[-1]
    assert 0 < many["mask"].mean() < 1
    assert many["state"].min() < 0 < many["state"].max()
    assert (many["state"] == 0).all(axis=-1).any()


def test_inputs_pass_a_window_and_are_missing_for_masking():
    x = keras.Input((None, 3), name="x")
    masked = keras.layers.Masking(mask_value=-1.0)(x)
    sparse = keras.layers.Conv1D(4, 2, strides=2, padding="causal")(x)
    y = ks.layers.LARNN(4, num_heads=2, window_size=9)(sparse)
    model = keras.Model(x, [y, keras.layers.LSTM(2)(masked)])
    found = inputs(NamedModel(model))
    assert [trial["x"].shape[1] for trial in found] == [55, 29, 29]
    missing = (found[1]["x"] == -1).all(axis=-1)
    assert missing.any() and not missing.all()


def test_a_model_of_positive_numbers_gets_no_others():
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, keras.ops.log(x))
    assert all((trial["x"] > 0).all() for trial in inputs(NamedModel(model)))


def test_a_failing_subprocess_is_reported(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)to try failed.*No such file"):
        proof.run_python("try", str(tmp_path / "none.py"))


@pytest.mark.parametrize("tolerance", [0, float("nan"), "1e-4"])
def test_bad_tolerance(tolerance, tmp_path):
    with pytest.raises(ValueError, match="`tolerance` must be a finite number"):
        artifact.export(models.decoder(), tmp_path / "m.onnx", ONNX, tolerance)
