import importlib.util

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import export
from tests.backend import to_numpy


@pytest.fixture(scope="module")
def model():
    return ks.models.build_neural_decoder(None, 5, units=4, head_units=3)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "new" / "decoder"
    return path, ks.export.export_saved_model(model, path)


def test_the_artifact_gives_the_models_numbers(model, exported, tmp_path):
    path, difference = exported
    assert difference < 1e-5
    assert (path / "saved_model.pb").exists()
    # Free batch and time axes: sizes that the export did not try.
    x = np.random.default_rng(0).normal(size=(5, 4, 5)).astype("float32")
    np.savez(tmp_path / "in.npz", x)
    export._run(
        "serve",
        "-P",
        export.pathlib.Path(export.__file__).with_name("serve_saved_model.py"),
        path,
        tmp_path / "in.npz",
        tmp_path / "out.npz",
    )
    with np.load(tmp_path / "out.npz") as file:
        np.testing.assert_allclose(file["000"], to_numpy(model(x)), atol=1e-5)


def test_nothing_else_is_left_behind(exported):
    path, _ = exported
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_artifact_with_other_numbers_is_refused(
    model, exported, monkeypatch
):
    path, _ = exported
    before = (path / "saved_model.pb").stat().st_mtime_ns
    predict = model.predict_on_batch
    monkeypatch.setattr(model, "predict_on_batch", lambda x: predict(x) + 0.01)
    with pytest.raises(RuntimeError, match=r"largest difference is 0\.0"):
        ks.export.export_saved_model(model, path)
    assert (path / "saved_model.pb").stat().st_mtime_ns == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_nan_in_one_output_is_refused(tmp_path, monkeypatch):
    symbolic = keras.Input((3, 4))
    model = keras.Model(
        symbolic,
        ks.layers.TemporalAttention()(symbolic, return_attention_scores=True),
    )
    predict = model.predict_on_batch

    def broken(x):
        pooled, scores = predict(x)
        return [pooled, np.full_like(scores, np.nan)]

    monkeypatch.setattr(model, "predict_on_batch", broken)
    with pytest.raises(RuntimeError, match="largest difference is nan"):
        ks.export.export_saved_model(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_other_files_are_not_overwritten(model, tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(FileExistsError, match="something else than a SavedMod"):
        ks.export.export_saved_model(model, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "chapter 1"


def test_without_tensorflow(model, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install tensorflow"):
        ks.export.export_saved_model(model, tmp_path / "model")


def test_a_failing_subprocess_is_reported(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)to try failed.*No such file"):
        export._run("try", tmp_path / "none.py")


def test_two_inputs_and_two_outputs(tmp_path):
    a, b = keras.Input((3, 4)), keras.Input((3,), dtype="bool")
    pooled, scores = ks.layers.TemporalAttention(units=2)(
        a, mask=b, return_attention_scores=True
    )
    model = keras.Model([a, b], [pooled, scores])
    assert ks.export.export_saved_model(model, tmp_path / "model") < 1e-5
