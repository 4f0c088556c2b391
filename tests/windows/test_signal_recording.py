import dataclasses

import numpy as np
import pytest

from keras_seqattn.windows import SignalRecording

GIVEN = {
    "signal": np.zeros((4, 2)),
    "times": np.arange(4) / 50,
    "segment": [0, 0, 1, 1],
    "channels": ("x", "y"),
    "rate": 50,
    "subject": "anna ",
    "label": ["walk", " walk", "", "sit"],
}


def test_types():
    recording = SignalRecording(**GIVEN)
    assert recording.signal.dtype == "float32"
    assert recording.subject == "anna"
    assert recording.label.tolist() == ["walk", "walk", "", "sit"]
    assert dataclasses.replace(recording, label=None).label is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("signal", np.zeros(4), "rank|shape"),
        ("signal", np.zeros((4, 2), complex), "complex"),
        ("signal", np.full((4, 2), np.nan), "new segment"),
        ("times", np.arange(3), "one entry a sample"),
        ("times", [0, 1, np.inf, 3], "finite"),
        ("segment", [0.0, 0, 1, 1], "integers"),
        ("label", ["walk"], "one entry a sample"),
        ("channels", ("x", "x"), "none twice"),
        ("rate", 0, "rate"),
        ("subject", 1.5, "whole"),
    ],
)
def test_refused(name, value, words):
    with pytest.raises(ValueError, match=words):
        SignalRecording(**{**GIVEN, name: value})
