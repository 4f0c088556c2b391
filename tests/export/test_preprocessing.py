import json

import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export import Preprocessing
from tests.export import models


def test_what_was_said_comes_back():
    assert models.PREPROCESSING.to_dict() == {
        "mean": [0.5, 0.25, 0.0, 1.0, 2.0],
        "scale": [1.0, 2.0, 4.0, 8.0, 16.0],
        "transform": "sqrt",
        "in_model": False,
        "window": 20,
        "timesteps": 7,
        "bin_width": 0.05,
        "channels": ["a", "b", "c", "d", "e"],
        "units": {"spikes": "1 / bin", "decoded": "cm/s"},
        "package_version": ks.__version__,
    }
    assert set(Preprocessing([1], [1]).to_dict()) == {
        *("mean", "scale", "in_model", "package_version")
    }


def test_arrays_will_do_and_can_be_compared():
    fields = {"transform": None, "window": np.int64(4), "bin_width": 1}
    found, same = (
        Preprocessing(
            array([0.5, 1]),
            array([1, 2.5]),
            channels=array(["a", "b"]),
            **fields,
        )
        for array in (np.array, list)
    )
    assert found == same
    said = json.loads(json.dumps(found.to_dict()))
    assert said.pop("package_version") == ks.__version__
    assert said["channels"] == ["a", "b"]
    assert Preprocessing(**said) == found


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"mean": [1, 2], "scale": [1]}, "one finite number a channel"),
        ({"mean": [np.nan], "scale": [1]}, r"Received: mean=\[nan\]"),
        ({"mean": [1], "scale": [0]}, "`scale` only such above 0"),
        ({"mean": 1.0, "scale": 1.0}, "one finite number a channel"),
        ({"channels": ["a"]}, "must name all 2 channels.*1 names"),
        ({"window": 0}, "`window` must be a positive integer"),
        ({"timesteps": 1.5}, "`timesteps` must be a positive integer"),
        ({"bin_width": -1}, "`bin_width` must be a finite number"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**{"mean": [1, 2], "scale": [1, 2], **fields})


def test_other_channels_than_the_models_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\[5\]\. Received: 2 channels"):
        ks.export.export_onnx(
            models.decoder(),
            tmp_path / "decoder.onnx",
            preprocessing=Preprocessing([1, 2], [1, 2]),
        )
    assert not list(tmp_path.iterdir())
