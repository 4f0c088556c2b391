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
        "rate": 20.0,
        "signal_options": {"lowpass": 5.0, "magnitudes": ["acc"]},
        "lag": -0.1,
        "quantity": "velocity (cm/s)",
        "channels": ["a", "b", "c", "d", "e"],
        "unit_ids": [3, "8b", 12, 13, 21],
        "classes": ["rest", "reach"],
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
            unit_ids=array([2**53, 2**53 + 1]),
            classes=array([0, 1, 2]),
            **fields,
        )
        for array in (np.array, list)
    )
    assert found == same
    said = json.loads(json.dumps(found.to_dict()))
    assert said.pop("package_version") == ks.__version__
    assert said["channels"] == ["a", "b"]
    assert said["unit_ids"] == [2**53, 2**53 + 1]
    assert Preprocessing(**said) == found


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"mean": [1, 2], "scale": [1]}, "one finite number a channel"),
        ({"mean": [np.nan], "scale": [1]}, r"Received: mean=\[nan\]"),
        ({"mean": [1], "scale": [0]}, "`scale` only such above 0"),
        ({"mean": 1.0, "scale": 1.0}, "of rank 1, .channels,"),
        ({"channels": ["a"]}, "must name all 2 channels.*1 names"),
        ({"window": 0}, "`window` must be a positive integer"),
        ({"timesteps": 1.5}, "`timesteps` must be a positive integer"),
        ({"rate": 0}, "`rate` must be a finite number above 0"),
        ({"signal_options": [1]}, "`signal_options` must be a dictionary"),
        ({"signal_options": {"lowpass": np.nan}}, "values that JSON can hold"),
        ({"bin_width": -1}, "`bin_width` must be a finite number"),
        ({"bin_width": "0.05"}, "`bin_width` must be a finite number"),
        ({"lag": np.nan}, "`lag` must be a finite number"),
        ({"lag": "0"}, "`lag` must be a finite number"),
        # In JSON by hand: the text is true to Python.
        ({"in_model": "false"}, "without quotes.*Received: in_model='false'"),
        ({"in_model": 0}, "`in_model` must be True or False"),
        ({"in_model": None}, "`in_model` must be True or False"),
        ({"mean": ["1", "2"]}, "`mean` must hold numbers"),
        ({"mean": [True, False]}, "`mean` must hold numbers"),
        ({"scale": [1j, 2]}, "`scale` must hold numbers"),
        ({"mean": [], "scale": []}, "`mean` must hold one finite number"),
        ({"mean": None}, "`mean` must be of rank 1"),
        ({"mean": [[1], [2, 3]]}, "rows of different lengths"),
        ({"transform": 5}, "`transform` must be a text"),
        ({"transform": ""}, "`transform` must be a text"),
        ({"quantity": ["velocity"]}, "`quantity` must be a text"),
        ({"window": True}, "`window` must be a positive integer"),
        ({"channels": "ab"}, "`channels` must be a list of texts"),
        ({"channels": [1, 2]}, "`channels` must be a list of texts"),
        ({"unit_ids": "ab"}, "`unit_ids` must be a list"),
        ({"unit_ids": [1]}, "must name all 2 channels.*1 names"),
        ({"unit_ids": [1, 1]}, "must name each unit once"),
        ({"unit_ids": [1, None]}, "an id everywhere, an integer or text"),
        ({"classes": []}, "`classes` must be a list"),
        ({"classes": ["a", "a"]}, "`classes` must be texts .* none of them"),
        ({"classes": ["a", " "]}, "`classes` must be texts"),
        ({"classes": ["a", 1.5]}, "`classes` must be texts"),
        ({"classes": {"a": 1}}, "`classes` must be a list"),
        ({"units": ["cm/s"]}, "`units` must be a dictionary"),
        ({"units": {"spikes": 1}}, "`units` must be a dictionary"),
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


def test_nothing_said_comes_back_from_json():
    said = Preprocessing([0], [1], units={}, signal_options={})
    fields = said.to_dict()
    del fields["package_version"]
    assert fields == {"mean": [0], "scale": [1], "in_model": False}
    assert Preprocessing(**fields) == said
