import pytest

import keras_seqattn as ks
from tests.export import models


def test_a_recurrent_model_of_fixed_sizes(tmp_path):
    path = tmp_path / "decoder.tflite"
    difference = ks.export.export_litert(
        models.decoder(),
        path,
        timesteps=6,
        attention_scores=True,
        preprocessing=models.PREPROCESSING,
    )
    assert difference < 1e-5
    assert path.stat().st_size < 100_000
    assert {p.name for p in tmp_path.iterdir()} == {
        "decoder.tflite",
        "decoder.tflite.json",
    }


def test_a_step_model_with_a_free_batch(tmp_path):
    path = tmp_path / "step.tflite"
    assert ks.export.export_litert(models.step(), path, batch_size=None) < 1e-5


def test_a_loop_with_a_free_batch_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="give `batch_size`"):
        ks.export.export_litert(
            models.decoder(6), tmp_path / "model.tflite", batch_size=None
        )
    assert not list(tmp_path.iterdir())


def test_bad_arguments(tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match="give `timesteps`"):
        ks.export.export_litert(models.decoder(), path)
    with pytest.raises(ValueError, match="`timesteps` must be a positive"):
        ks.export.export_litert(models.decoder(), path, timesteps=0)
    with pytest.raises(ValueError, match="`batch_size` must be a positive"):
        ks.export.export_litert(models.decoder(), path, batch_size=True)
    with pytest.raises(ValueError, match=r"must end with '.tflite'"):
        ks.export.export_litert(models.decoder(6), tmp_path / "model")
    assert not list(tmp_path.iterdir())
