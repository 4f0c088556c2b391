import numpy as np
import pytest

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
            paths = arguments[-4:]
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
    shapes = []

    def change(outputs):
        x = outputs["decoded"]
        shapes.append(x.shape)
        return {"decoded": x + len(x) * 1e-6}

    path = tmp_path / "new" / "model.onnx"
    difference = artifact.export(served(change), path, ONNX, 1e-4)
    assert shapes == [(1, 2), (3, 2)]
    assert difference == pytest.approx(3e-6, rel=0.1)
    # Nothing else is left behind.
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]


def nan_in_one(outputs):
    outputs["decoded"][0, 1] = np.nan
    return outputs


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: {"decoded": x["decoded"] + 0.01}, r"difference is 0\.0"),
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


def test_large_outputs_are_compared_by_their_size():
    big = np.array([1000.0, 0.0])
    assert proof._difference("y", big + 0.5, big) == pytest.approx(5e-4)
    small = np.array([0.1, 0.0])
    assert proof._difference("y", small + 0.5, small) == 0.5


def test_inputs_have_both_values_of_a_mask_and_the_fixed_sizes():
    import keras

    x, mask = (
        keras.Input((None, 3), name="x"),
        keras.Input((None,), dtype="bool", name="mask"),
    )
    model = keras.Model([x, mask], keras.layers.LSTM(2)(x, mask=mask))
    found = proof._random_inputs(NamedModel(model), 3, 7)
    assert found["x"].shape == (3, 7, 3) and found["x"].dtype == "float32"
    assert 0 < found["mask"].mean() < 1 and found["mask"].dtype == "bool"
    fixed = NamedModel(model, batch_size=2, timesteps=4)
    found = proof._random_inputs(fixed, 3, 7)
    assert found["x"].shape == (2, 4, 3)


def test_a_failing_subprocess_is_reported(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)to try failed.*No such file"):
        proof.run_python("try", str(tmp_path / "none.py"))


@pytest.mark.parametrize("tolerance", [0, float("nan"), "1e-4"])
def test_bad_tolerance(tolerance, tmp_path):
    with pytest.raises(ValueError, match="`tolerance` must be a finite number"):
        artifact.export(models.decoder(), tmp_path / "m.onnx", ONNX, tolerance)
